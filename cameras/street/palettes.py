"""The colours of road users, picked by their look. Colours are blue, green, red."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cameras.street.layout import Colour
from cameras.street.meshes import Material
from cameras.street.projection import Floats
from trafficmon.core.objects import ObjectClass

_CAR_PAINTS: tuple[Colour, ...] = (
    (236, 236, 234),
    (226, 228, 228),
    (188, 190, 190),
    (142, 142, 140),
    (72, 70, 68),
    (48, 46, 46),
    (52, 52, 186),
    (44, 60, 140),
    (150, 84, 40),
    (172, 122, 62),
    (92, 116, 52),
    (60, 150, 214),
    (176, 196, 206),
    (120, 62, 46),
)
_BUS_PAINTS: tuple[tuple[Colour, Colour], ...] = (
    ((60, 60, 206), (226, 226, 226)),
    ((190, 128, 40), (236, 236, 236)),
    ((96, 152, 62), (232, 232, 224)),
    ((232, 232, 232), (60, 140, 232)),
)
_CARGO_PAINTS: tuple[Colour, ...] = (
    (224, 226, 226),
    (196, 170, 130),
    (92, 140, 196),
    (90, 96, 100),
    (104, 150, 110),
    (70, 130, 220),
)
_CLOTHES: tuple[Colour, ...] = (
    (60, 60, 190),
    (180, 110, 50),
    (70, 150, 90),
    (210, 208, 204),
    (60, 180, 226),
    (150, 80, 150),
    (90, 90, 90),
    (52, 48, 46),
    (128, 176, 220),
    (120, 140, 60),
)
_TROUSERS: tuple[Colour, ...] = ((110, 76, 48), (58, 52, 50), (90, 100, 110), (130, 150, 168), (70, 60, 44))
_SKINS: tuple[Colour, ...] = ((160, 190, 226), (120, 156, 200), (86, 116, 160), (58, 78, 112))
_HAIR: tuple[Colour, ...] = ((28, 30, 34), (40, 56, 80), (70, 110, 150), (120, 126, 130))


@lru_cache(maxsize=4096)
def palette_of(object_class: ObjectClass, look: int) -> Floats:
    """A (17, 3) table of colours by Material, as they are in full white light. Do not write into it."""
    rng = np.random.default_rng([look & 0x7FFFFFFF, len(object_class)])

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(rng.integers(len(colours)))]

    table = np.zeros((len(Material), 3))
    table[Material.PAINT] = pick(_CAR_PAINTS)
    table[Material.SECOND_PAINT] = pick(_CARGO_PAINTS)
    table[Material.STRIPE] = pick(_CLOTHES)
    if object_class is ObjectClass.BUS:
        paint, stripe = _BUS_PAINTS[int(rng.integers(len(_BUS_PAINTS)))]
        table[Material.PAINT], table[Material.STRIPE] = paint, stripe
    if object_class is ObjectClass.STOP_SIGN:
        table[Material.PAINT] = (40, 30, 196)
    table[Material.GLASS] = (96, 80, 66)
    table[Material.TYRE] = (38, 38, 38)
    table[Material.RIM] = (176, 176, 174) if object_class is not ObjectClass.STOP_SIGN else (238, 238, 238)
    table[Material.TRIM] = (50, 50, 50)
    table[Material.SKIN] = pick(_SKINS)
    table[Material.TOP] = pick(_CLOTHES)
    table[Material.TROUSERS] = pick(_TROUSERS)
    table[Material.HAIR] = pick(_HAIR)
    table[Material.HEADLIGHT] = (222, 224, 220)
    table[Material.TAIL_LIGHT] = (44, 40, 150)
    table[Material.INDICATOR] = (60, 150, 210)
    table[Material.RED_LAMP] = (36, 32, 70)
    table[Material.AMBER_LAMP] = (34, 58, 72)
    table[Material.GREEN_LAMP] = (50, 64, 38)
    table.setflags(write=False)
    return table
