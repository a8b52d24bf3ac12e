"""Who advertises what: advertisers, campaigns, products, devices, sites and places. All names are made up."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from airflow_provider_amc.emulator.data.chance import code, long_id


@dataclass(frozen=True)
class Advertiser:
    """A made-up advertiser.

    :param name: its brand.
    :param timezone: the time zone of its local columns.
    :param products: what it sells, name and price in cents.
    :param keywords: what users search to find it.
    """

    name: str
    timezone: str
    products: tuple[tuple[str, int], ...]
    keywords: tuple[str, ...]


ADVERTISERS = (
    Advertiser(
        "Kestrel & Pine",
        "America/Los_Angeles",
        (("Two-Person Trail Tent", 18900), ("Down Sleeping Bag", 12900), ("Titanium Camp Mug", 2450),
         ("Packable Rain Shell", 8900), ("Folding Camp Chair", 5490), ("Headlamp 400", 3999)),
        ("camping tent", "kestrel pine tent", "ultralight sleeping bag", "rain jacket"),
    ),
    Advertiser(
        "Lumora Home",
        "America/New_York",
        (("Linen Duvet Set", 13999), ("Dimmable Desk Lamp", 4599), ("Oak Floating Shelf", 3299),
         ("Stoneware Dinner Set", 9999), ("Cotton Bath Towels", 3899), ("Scented Candle Trio", 2799)),
        ("desk lamp", "lumora lamp", "linen bedding", "floating shelf"),
    ),
    Advertiser(
        "Brightfin Audio",
        "America/New_York",
        (("Wireless Earbuds S2", 7999), ("Studio Headphones", 19999), ("Shower Speaker", 3499),
         ("Soundbar Mini", 14999), ("USB-C Audio Cable", 1499), ("Charging Case", 2999)),
        ("wireless earbuds", "brightfin earbuds", "noise cancelling headphones", "small soundbar"),
    ),
    Advertiser(
        "Tallgrass Pantry",
        "America/Chicago",
        (("Steel Cut Oats 6 Pack", 2299), ("Wildflower Honey", 1249), ("Trail Mix Box", 1899),
         ("Cold Brew Concentrate", 1599), ("Almond Butter", 1199), ("Herbal Tea Sampler", 1399)),
        ("healthy snacks", "tallgrass oats", "cold brew coffee", "almond butter"),
    ),
)  # fmt: skip

#: DSP campaigns run by quarter: name, goal, product line, creative category, line items.
DSP_TEMPLATES = (
    ("Awareness Video", "AWARENESS", "Online Video", "Video", ("OLV In-Market", "STV Lifestyle")),
    ("Consideration Display", "CONSIDERATIONS_ON_AMAZON", "Display", "Display", ("Contextual", "In-Market")),
    ("Retargeting Display", "PURCHASES_ON_AMAZON", "Display", "Display", ("Product Views", "Past Purchasers")),
)

#: Sponsored-ads campaigns run always: product, name, price type, match types.
SPONSORED_TEMPLATES = (
    ("sponsored_products", "SP Auto", "CPC", (None,)),
    ("sponsored_products", "SP Brand Keywords", "CPC", ("EXACT", "PHRASE")),
    ("sponsored_products", "SP Category Keywords", "CPC", ("BROAD", "PHRASE")),
    ("sponsored_brands", "SB Video", "CPC", ("BROAD", "EXACT")),
    ("sponsored_display", "SD Views Remarketing", "VCPM", (None,)),
    ("sponsored_television", "STV Lifestyle", "CPM", (None,)),
)

#: How many in a thousand users have it, type, make, model, operating system, version, browser, environment
DEVICES = (
    (170, "Phone", "Apple", "iPhone", "iOS", "17.5", "Safari", "Web"),
    (160, "Phone", "Apple", "iPhone", "iOS", "18.1", None, "App"),
    (130, "Phone", "Samsung", "Galaxy S", "Android", "14", "Chrome", "Web"),
    (70, "Phone", "Google", "Pixel", "Android", "15", None, "App"),
    (60, "Tablet", "Apple", "iPad", "iOS", "17.5", "Safari", "Web"),
    (40, "Tablet", "Amazon", "Fire HD", "Fire OS", "8", "Silk", "Web"),
    (190, "PC", None, None, "Windows", "11", "Chrome", "Web"),
    (80, "PC", None, None, "Windows", "10", "Edge", "Web"),
    (80, "PC", "Apple", "Mac", "macOS", "14", "Safari", "Web"),
    (20, "Unknown", None, None, None, None, "Other", None),
    (420, "TV", "Amazon", "Fire TV", "Fire OS", "7", None, "App"),
    (270, "TV", "Samsung", "Smart TV", "Tizen", "7", None, "App"),
    (190, "ConnectedDevice", "Roku", "Streaming Stick", "Roku OS", "13", None, "App"),
    (120, "TV", "LG", "Smart TV", "webOS", "23", None, "App"),
)
#: Devices from this index on show video on a big screen; the shares of these, and of the others, add up to a thousand.
FIRST_SCREEN = 10

#: Impressions in a thousand, site, supply source, Amazon's own, app bundle, page type, deal
SITES = (
    (220, "amazon.com", "AMAZON.COM", True, None, "Detail", None),
    (150, "amazon.com", "AMAZON.COM", True, None, "Search", None),
    (90, "amazon.com", "AMAZON.COM", True, None, "Gateway", None),
    (200, "Amazon Shopping App", "AMAZON MOBILE APP", True, "com.example.shopping", "Detail", None),
    (90, "harborlight-news.example", "OPEN EXCHANGE A", False, None, None, None),
    (60, "weekendkitchen.example", "OPEN EXCHANGE A", False, None, None, None),
    (50, "trailnotes.example", "OPEN EXCHANGE B", False, None, None, "Outdoor Preferred"),
    (50, "scoreline.example", "OPEN EXCHANGE B", False, None, None, None),
    (50, "puzzlebay", "MOBILE EXCHANGE C", False, "com.example.puzzlebay", None, None),
    (40, "weatherwise", "MOBILE EXCHANGE C", False, "com.example.weatherwise", None, None),
    (450, "Northwind TV", "STREAMING TV D", False, "com.example.northwindtv", None, "Streaming Reserve"),
    (550, "Prime-time Live", "AMAZON STREAMING TV", True, None, None, None),
)
#: Sites from this index on show video; shares as for devices.
FIRST_VIDEO_SITE = 10

#: How many in a thousand users live there, state, city, postal code, designated market area
PLACES = (
    (150, "US-NY", "New York", "10001", "501"), (60, "US-NY", "New York", "10025", "501"),
    (50, "US-NY", "Brooklyn", "11201", "501"), (100, "US-CA", "Los Angeles", "90012", "803"),
    (45, "US-CA", "Los Angeles", "90026", "803"), (30, "US-CA", "San Diego", "92101", "825"),
    (25, "US-CA", "San Jose", "95112", "807"), (75, "US-IL", "Chicago", "60601", "602"),
    (25, "US-IL", "Chicago", "60614", "602"), (55, "US-TX", "Houston", "77002", "618"),
    (45, "US-TX", "Dallas", "75201", "623"), (25, "US-TX", "Austin", "78701", "635"),
    (40, "US-PA", "Philadelphia", "19103", "504"), (35, "US-AZ", "Phoenix", "85004", "753"),
    (35, "US-FL", "Miami", "33130", "528"), (20, "US-FL", "Orlando", "32801", "534"),
    (30, "US-GA", "Atlanta", "30303", "524"), (25, "US-MA", "Boston", "02110", "506"),
    (25, "US-WA", "Seattle", "98101", "819"), (18, "US-CO", "Denver", "80202", "751"),
    (15, "US-MN", "Minneapolis", "55401", "613"), (14, "US-MI", "Detroit", "48226", "505"),
    (13, "US-OH", "Columbus", "43215", "535"), (12, "US-NC", "Charlotte", "28202", "517"),
    (12, "US-TN", "Nashville", "37203", "659"), (11, "US-OR", "Portland", "97205", "820"),
    (10, "US-MO", "St. Louis", "63101", "609"),
)  # fmt: skip

#: Half-hours of the day (UTC) drawn with equal chance: people in the United States are awake and in the evening online.
HOURS = (
    0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 11, 12, 13, 14, 15, 15, 16, 16, 17, 18, 18, 19, 20, 21, 21, 22, 23, 23,
)  # fmt: skip

#: Name and id of the segments that impressions are matched to.
SEGMENTS = tuple((4000 + 37 * index, name) for index, name in enumerate((
    "IM - Outdoor Gear", "IM - Home Decor", "IM - Audio Equipment", "IM - Grocery", "LS - Hikers", "LS - New Parents",
    "LS - Home Cooks", "LS - Music Fans", "LS - Gamers", "IM - Office Furniture", "LS - Green Living", "IM - Gifts",
)))  # fmt: skip


def quarter_number(day: dt.date) -> int:
    """The quarter of a day, counted from the first of the year 0."""
    return day.year * 4 + (day.month - 1) // 3


def quarter_bounds(number: int) -> tuple[dt.datetime, dt.datetime]:
    """First moment of a quarter and of the next one, UTC."""

    def first(quarter: int) -> dt.datetime:
        return dt.datetime(quarter // 4, quarter % 4 * 3 + 1, 1)

    return first(number), first(number + 1)


def quarter_name(number: int) -> str:
    """The name of a quarter, such as ``2026 Q1``; campaigns of Amazon DSP bear it."""
    return f"{number // 4} Q{number % 4 + 1}"


def ad_rows(seed: int, quarter: int) -> list[tuple[object, ...]]:
    """The DSP ads of a quarter: one row a creative of a line item of a campaign.

    :param seed: seed of the data.
    :param quarter: number of the quarter.
    :returns: rows for the dimension table ``d_ad``.
    """
    start, end = quarter_bounds(quarter)
    label = quarter_name(quarter)
    rows: list[tuple[object, ...]] = []
    for adv, advertiser in enumerate(ADVERTISERS):
        for template, (name, goal, line, category, line_items) in enumerate(DSP_TEMPLATES):
            campaign = f"{advertiser.name} | {name} | {label}"
            campaign_id = long_id(seed, "campaign", campaign)
            for item, item_name in enumerate(line_items):
                line_item = f"{campaign} | {item_name}"
                for version in range(2):
                    video = category == "Video"
                    creative = f"{advertiser.name} {name} {'15s' if video and not version else '30s' if video else 'AB'[version]} {label}"
                    size = "1920x1080" if video else ("300x250", "970x250")[version]
                    rows.append((
                        ((quarter * len(ADVERTISERS) + adv) * len(DSP_TEMPLATES) + template) * 4 + item * 2 + version,
                        adv, campaign, campaign_id, long_id(seed, "flight", campaign), code(13, seed, "order", campaign),
                        goal, line, category, start, end, (80 + 40 * template) * 10_000 * 100_000,
                        line_item, long_id(seed, "line", line_item), (30 + 20 * template) * 10_000 * 100_000,
                        "STANDARD_DISPLAY" if not video else ("VIDEO" if item == 0 else "STREAMING_TV"),
                        creative, long_id(seed, "creative", creative, line_item), size,
                        "Video" if video else ("Image", "Responsive eCommerce")[version],
                        (15, 30)[version] if video else None,
                        "BONUS" if (quarter + adv + template) % 9 == 0 else "BILLABLE",
                    ))  # fmt: skip
    return rows


def target_rows(seed: int) -> list[tuple[object, ...]]:
    """The sponsored ads: one row a target of an ad group of a campaign, for the dimension table ``d_target``."""
    rows: list[tuple[object, ...]] = []
    for adv, advertiser in enumerate(ADVERTISERS):
        portfolio = f"{advertiser.name} Always On"
        for template, (product, name, price, matches) in enumerate(SPONSORED_TEMPLATES):
            campaign = f"{advertiser.name} | {name}"
            for index in range(6):
                match = matches[index % len(matches)]
                keyword = advertiser.keywords[index % len(advertiser.keywords)]
                asin = index % len(advertiser.products)
                group = f"{name} - {'AB'[index % 2]}"
                targeting = keyword if match else f'asin="{asin_of(seed, adv, asin)}"'
                rows.append((
                    (adv * len(SPONSORED_TEMPLATES) + template) * 6 + index, adv, template, product, campaign,
                    long_id(seed, "sa", campaign), f"A{code(20, seed, 'sa', campaign)}", portfolio,
                    long_id(seed, "portfolio", portfolio), group, targeting, match, price,
                    long_id(seed, "target", campaign, group, index), adv * 6 + asin,
                    keyword if match else None, f"{advertiser.products[asin][0]} ad",
                ))  # fmt: skip
    return rows


def asin_of(seed: int, adv: int, product: int) -> str:
    """The ASIN of a product."""
    return f"B0{code(8, seed, 'asin', adv, product)}"


def advertiser_rows(seed: int) -> list[tuple[object, ...]]:
    """Rows for the dimension table ``d_adv``."""
    return [
        (adv, one.name, long_id(seed, "advertiser", one.name), f"ENTITY{code(13, seed, 'entity', one.name)}",
         one.timezone, long_id(seed, "merchant", one.name) % 10**11)
        for adv, one in enumerate(ADVERTISERS)
    ]  # fmt: skip


def product_rows(seed: int) -> list[tuple[object, ...]]:
    """Rows for the dimension table ``d_asin``."""
    return [
        (adv * 6 + index, adv, asin_of(seed, adv, index), name, cents)
        for adv, one in enumerate(ADVERTISERS)
        for index, (name, cents) in enumerate(one.products)
    ]
