"""Words for colors, materials, patterns, surfaces, uses and places, for questions by rule."""

from __future__ import annotations

from collections.abc import Mapping

COLORS = (
    *("black", "white", "gray", "grey", "silver", "red", "maroon", "orange", "brown", "beige", "tan", "yellow", "gold"),
    *("golden", "green", "olive", "teal", "turquoise", "cyan", "blue", "navy", "purple", "violet", "pink", "magenta"),
    *("cream", "bronze", "copper", "lime", "khaki", "burgundy", "lavender", "indigo"),
)
SHADES = ("dark", "light", "bright", "pale", "deep", "slate", "sky", "lime", "navy", "forest", "royal", "pastel")
NEAR_COLORS = (
    {"gray", "grey", "silver", "slate"},
    {"brown", "beige", "tan", "bronze", "copper", "khaki", "cream", "orange", "maroon"},
    {"yellow", "gold", "golden", "khaki", "cream", "beige", "tan", "olive", "brown"},
    {"red", "maroon", "burgundy", "pink", "magenta", "orange", "brown"},
    {"green", "olive", "lime", "teal", "turquoise", "khaki"},
    {"blue", "navy", "teal", "turquoise", "cyan", "indigo", "violet", "slate"},
    {"purple", "violet", "magenta", "lavender", "indigo", "pink", "burgundy"},
    {"white", "cream", "silver", "beige"},
    {"black", "navy"},
)
"""Colors that people may take for each other; they are never options of one question."""

TEXTURES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "material": {
        "wood": ("wooden", "wood", "timber", "log"),
        "metal": ("metal", "metallic", "steel", "iron", "brass", "aluminum"),
        "stone": ("stone", "rocky", "granite", "cobblestone"),
        "brick": ("brick", "bricks"),
        "glass": ("glass",),
        "plastic": ("plastic", "styrofoam"),
        "leather": ("leather",),
        "fabric": ("fabric", "cloth", "textile", "woolen", "cotton"),
        "concrete": ("concrete", "cement"),
        "marble": ("marble",),
        "rubber": ("rubber",),
        "cardboard": ("cardboard",),
        "straw": ("straw", "wicker", "thatched"),
        "clay": ("clay", "ceramic", "porcelain", "terracotta"),
    },
    "pattern": {
        "striped": ("striped", "stripe", "stripes"),
        "checkered": ("checkered", "checked", "plaid", "checkerboard", "tartan"),
        "spotted": ("spotted", "dotted", "speckled", "polka-dot"),
        "floral": ("floral", "flowery"),
        "camouflage": ("camouflage", "camo"),
    },
    "surface": {
        "smooth": ("smooth", "polished", "glossy", "shiny"),
        "rough": ("rough", "bumpy", "jagged", "craggy"),
        "rusty": ("rusty", "rusted", "corroded"),
        "furry": ("furry", "fluffy", "hairy"),
        "cracked": ("cracked",),
        "snowy": ("snowy", "snow-covered", "icy"),
        "mossy": ("mossy", "moss-covered"),
    },
}
"""Kind of texture → value → words that state it in front of a noun."""
NEAR_TEXTURES = ({"stone", "brick", "concrete", "marble", "clay"}, {"fabric", "leather"}, {"rough", "cracked", "mossy"})
TEXTURE_QUESTIONS = {
    "material": "What is {subject} made of?",
    "pattern": "What pattern does {subject} have?",
    "surface": "How does the surface of {subject} look?",
}

USES: Mapping[str, tuple[str, ...]] = {
    "sitting": ("chair", "armchair", "sofa", "couch", "stool", "bench", "throne", "ottoman"),
    "sleeping": ("bed", "bunk bed", "cot", "hammock", "crib", "single bed", "double bed", "king bed"),
    "giving light": (
        *("lamp", "floor lamp", "desk lamp", "table lamp", "standing lamp", "ceiling lamp", "lantern", "torch"),
        *("candle", "candelabrum", "chandelier", "street light", "street lamp", "flashlight"),
    ),
    "storing things": (
        *("cabinet", "kitchen cabinet", "shelf", "bookshelf", "chest of drawers", "wardrobe", "cupboard", "crate"),
        *("treasure chest", "nightstand", "dresser", "storage box", "cardboard box"),
    ),
    "holding drinks": ("cup", "mug", "water bottle", "wine glass", "soda can", "bottle", "chalice", "soda bottle"),
    "cooking": ("cooking pot", "pan", "frying pan", "oven", "stove", "stew pot", "cauldron", "steamer", "stew pan"),
    "cutting": ("knife", "chopping knife", "cooking knife", "pizza cutter", "scissors", "saw blade", "saw"),
    "fighting": (
        *("sword", "dagger", "war hammer", "spear", "katana", "claymore", "shield", "mace", "bow", "crossbow"),
        *("halberd",),
    ),
    "shooting": ("pistol", "shotgun", "assault rifle", "sniper rifle", "submachine gun", "rifle", "gun", "cannon"),
    "traveling on roads": (
        *("sedan", "taxi", "police car", "van", "truck", "suv", "bicycle", "motorcycle", "bus", "sedan car", "car"),
        *("hatchback", "delivery van", "race car", "ambulance", "hatchback car"),
    ),
    "traveling on water": ("boat", "sailing ship", "raft", "pirate ship", "lifeboat", "canoe", "viking boat"),
    "flying": ("helicopter", "airplane", "plane", "spaceship", "hot air balloon", "drone"),
    "living in": ("house", "medieval house", "tent", "cottage", "cabin", "hut", "apartment"),
    "going up or down": ("stairs", "staircase", "ladder", "escalator"),
    "keeping food cold": ("refrigerator", "fridge", "freezer"),
    "washing": ("kitchen sink", "bathroom sink", "washing machine", "bathtub", "shower", "sink"),
    "throwing away trash": ("trash can", "dumpster", "trash bin", "garbage can"),
    "reading": ("book", "open book", "closed book", "newspaper", "scroll", "magazine"),
    "making music": ("guitar", "acoustic guitar", "piano", "drum", "violin", "trumpet", "flute"),
    "telling the time": ("clock", "watch", "hourglass", "alarm clock"),
    "catching fish": ("fishing rod", "fishing lure", "fishing net"),
    "opening locks": ("key",),
    "eating from": ("plate", "bowl", "dinner plate", "small plate", "deep plate", "small bowl", "rectangular plate"),
    "watching films and shows": ("television", "tv", "television set"),
    "calling people": ("phone", "telephone", "smartphone", "cell phone"),
    "protecting the head": ("helmet", "hard hat"),
    "digging": ("shovel", "spade"),
    "working on documents": ("computer", "laptop", "desk", "typewriter"),
    "making power from the sun": ("solar panel",),
    "decorating the body": ("ring", "necklace", "bracelet", "earring"),
    "carrying things": ("bag", "backpack", "suitcase", "bucket", "basket", "pouch", "handbag"),
    "crossing a river": ("bridge",),
    "paying": ("coin", "pile of coins", "banknote"),
    "controlling traffic": ("traffic light", "stop sign", "road sign", "triangular road sign"),
    "putting plates and cups on": ("table", "kitchen table", "round table", "kitchen counter", "dining table"),
    "closing off a piece of land": ("fence",),
    "plowing fields": ("tractor",),
}
"""What things are used for → their names."""
NEAR_USES = (
    {"fighting", "shooting", "cutting"},
    {"cutting", "cooking", "eating from"},
    {"controlling traffic", "giving light"},
    {"keeping food cold", "holding drinks", "storing things"},
    {"putting plates and cups on", "holding drinks", "sitting"},
    {"storing things", "carrying things"},
    {"traveling on roads", "traveling on water", "flying", "carrying things", "plowing fields"},
    {"holding drinks", "carrying things", "storing things", "eating from"},
    {"cooking", "eating from", "keeping food cold", "storing things"},
    {"sitting", "sleeping", "living in"},
    {"reading", "working on documents"},
    {"watching films and shows", "working on documents", "calling people", "telling the time"},
    {"putting plates and cups on", "working on documents", "eating from", "storing things"},
)

RELATIONS: Mapping[str, tuple[str, ...]] = {
    "to the left of": ("to the right of", "on top of", "underneath", "inside"),
    "to the right of": ("to the left of", "on top of", "underneath", "inside"),
    "in front of": ("behind", "on top of", "underneath", "inside"),
    "behind": ("in front of", "on top of", "underneath", "inside"),
    "on top of": ("underneath", "to the left of", "to the right of", "behind", "in front of"),
    "underneath": ("on top of", "to the left of", "to the right of", "inside"),
    "above": ("underneath", "inside", "to the left of", "to the right of"),
    "next to": ("on top of", "underneath", "inside"),
    "inside": ("on top of", "underneath", "next to", "behind", "in front of"),
}
"""Place of one thing to another → places that it then has not."""
RELATION_WORDS: Mapping[str, tuple[str, ...]] = {
    "to the left of": ("left of", "on the left side of", "on the left of", "to the left side of"),
    "to the right of": ("right of", "on the right side of", "on the right of", "to the right side of"),
    "in front of": (),
    "behind": (),
    "on top of": ("atop",),
    "underneath": ("under", "beneath", "below"),
    "above": ("over",),
    "next to": ("beside", "near", "close to", "adjacent to", "by"),
    "inside": ("inside of", "within"),
}
"""Place → other words for it."""
