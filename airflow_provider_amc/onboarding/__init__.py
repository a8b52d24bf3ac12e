"""From a client id to a connection: consent, choice of account and instance, and where the result is kept."""
