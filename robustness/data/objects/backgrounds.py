"""Backdrops behind the objects: one colour, a gradient, 1/f noise, or a room with textured floor and walls.

A backdrop is drawn from a generator and asked for the colours of rays (``scene.Backdrop``).
Colours are linear RGB. None depends on the class of the object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustness.data.objects.mesh import to_linear

PATTERN_SIZE = 128
"""Pixels a side of the pictures that backdrops are made of."""


@dataclass(frozen=True)
class Plain:
    """One colour everywhere, float32 (3,)."""

    colour: np.ndarray

    def colours(self, screen: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """The colour, for every ray."""
        return np.broadcast_to(self.colour, (len(screen), 3))


@dataclass(frozen=True)
class Picture:
    """A picture, float32 (S, S, 3), that fills the image, independently of the camera."""

    picture: np.ndarray

    def colours(self, screen: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """The picture at the rays' places in the image."""
        side = len(self.picture)
        at = np.minimum((screen * side).astype(np.int64), side - 1)
        return self.picture[at[:, 1], at[:, 0]]


@dataclass(frozen=True)
class Room:
    """A box seen from inside, in the scene: the floor at y = 0, four walls, a ceiling, each with its pattern.

    ``half`` is half its width and depth, ``height`` its height; ``patterns``: floor, wall, ceiling (S, S, 3),
    each repeated every ``period``; ``posters``: float32 rows of wall (0-3), left, bottom, width, height, the
    colour at the top (3) and at the bottom (3).
    """

    half: float
    height: float
    patterns: tuple[np.ndarray, np.ndarray, np.ndarray]
    period: tuple[float, float, float]
    posters: np.ndarray

    def colours(self, screen: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """What the rays meet: floor, wall or ceiling."""
        low = np.array([-self.half, 0, -self.half], dtype=np.float32)
        high = np.array([self.half, self.height, self.half], dtype=np.float32)
        start = np.clip(origin, low + 1e-3, high - 1e-3)
        safe = np.where(np.abs(directions) < 1e-6, np.float32(1e-6), directions)
        reach = np.where(safe > 0, high - start, low - start) / safe
        axis = reach.argmin(1)
        points = start + reach[np.arange(len(axis)), axis][:, None] * safe
        colours = np.empty((len(points), 3), dtype=np.float32)
        horizontal = axis == 1
        floor = horizontal & (safe[:, 1] < 0)
        for chosen, surface in ((floor, 0), (horizontal & ~floor, 2)):
            place = points[chosen][:, (0, 2)] / self.period[surface]
            colours[chosen] = _tile(self.patterns[surface], place)
        wall = ~horizontal
        across = np.where(axis[wall] == 0, points[wall, 2], points[wall, 0])
        up = points[wall, 1]
        colours[wall] = _tile(self.patterns[1], np.stack([across, up], axis=1) / self.period[1])
        colours[wall] *= np.where(axis[wall] == 0, np.float32(0.82), np.float32(1))[:, None]
        side = (axis[wall] // 2) * 2 + (directions[wall, axis[wall]] > 0)
        rows = np.flatnonzero(wall)
        for poster in self.posters:
            right, top = (across - poster[1]) / poster[3], (up - poster[2]) / poster[4]
            inside = (side == poster[0]) & (right > 0) & (right < 1) & (top > 0) & (top < 1)
            share = top[inside, None]
            colours[rows[inside]] = share * poster[5:8] + (1 - share) * poster[8:11]
        return colours


def draw(kind: str, generator: np.random.Generator, *, room_half: float) -> Plain | Picture | Room:
    """A backdrop of a kind (plain, gradient, noise, room); ``room_half`` is half the side of a room."""
    if kind == "plain":
        return Plain(plain_colour(generator))
    if kind == "gradient":
        return Picture(_gradient(generator))
    if kind == "noise":
        return Picture(_noise(generator, PATTERN_SIZE, colourful=True))
    if kind == "room":
        return _room(generator, room_half)
    raise ValueError(f"no background {kind!r}")


def plain_colour(generator: np.random.Generator) -> np.ndarray:
    """A studio colour: light to middle grey with a slight tint; linear, float32 (3,)."""
    grey = generator.uniform(0.55, 0.95)
    return to_linear(np.clip(grey + generator.uniform(-0.06, 0.06, 3), 0, 1)).astype(np.float32)


def _colour(generator: np.random.Generator, low: float = 0.1, high: float = 0.95) -> np.ndarray:
    """A colour of any hue, between grey and half saturated; linear, float32 (3,)."""
    grey, tint = generator.uniform(low, high), generator.uniform(-1, 1, 3)
    return to_linear(np.clip(grey + generator.uniform(0, 0.25) * tint, 0.02, 1)).astype(np.float32)


def _any_colour(generator: np.random.Generator) -> np.ndarray:
    """Any colour, linear, float32 (3,)."""
    return to_linear(generator.uniform(0.1, 0.95, 3)).astype(np.float32)


def _gradient(generator: np.random.Generator) -> np.ndarray:
    angle = generator.uniform(0, 2 * np.pi)
    steps = np.linspace(-0.5, 0.5, PATTERN_SIZE, dtype=np.float32)
    ramp = np.clip(0.5 + np.cos(angle) * steps[None, :] + np.sin(angle) * steps[:, None], 0, 1)[..., None]
    return (ramp * _any_colour(generator) + (1 - ramp) * _any_colour(generator)).astype(np.float32)


def _noise(generator: np.random.Generator, size: int, *, colourful: bool, slope: float = 1.0) -> np.ndarray:
    """Noise whose amplitude falls as 1/frequency, as in natural images; tileable; linear (S, S, 3)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    amplitude = np.maximum(frequency, 1) ** -slope
    amplitude[0, 0] = 0
    channels = generator.standard_normal((3, size, size))
    fields = np.fft.irfft2(np.fft.rfft2(channels) * amplitude, s=(size, size))
    fields /= fields.std(axis=(1, 2), keepdims=True)
    mix = np.array([[1, 0.35, 0], [1, -0.2, 0.35], [1, -0.2, -0.35]]) if colourful else np.ones((3, 3)) / 3
    srgb = 0.5 + 0.17 * np.tensordot(mix, fields, axes=1) + generator.uniform(-0.12, 0.12, (3, 1, 1))
    return to_linear(np.clip(srgb, 0, 1)).transpose(1, 2, 0).astype(np.float32)


def _planks(generator: np.random.Generator) -> np.ndarray:
    """Boards of one wood with different tones, dark joints and a grain along them."""
    boards = 8
    tone = generator.uniform(0.75, 1.1, boards).repeat(PATTERN_SIZE // boards)
    grain = generator.uniform(0.9, 1.05, (PATTERN_SIZE, 1, 1))
    wood = np.array([0.62, 0.42, 0.25]) * generator.uniform(0.5, 1.4) + generator.uniform(-0.05, 0.05, 3)
    picture = np.clip(wood, 0.03, 1) * tone[None, :, None] * grain
    picture[:, :: PATTERN_SIZE // boards] *= 0.45
    return to_linear(np.clip(picture, 0, 1)).astype(np.float32)


def _tiles(generator: np.random.Generator) -> np.ndarray:
    """Square tiles of two colours in a chequer, with joints."""
    count = int(generator.choice([2, 4]))
    index = np.arange(PATTERN_SIZE) // (PATTERN_SIZE // count)
    chequer = ((index[:, None] + index[None, :]) % 2).astype(np.float32)[..., None]
    picture = chequer * _colour(generator) + (1 - chequer) * _colour(generator)
    step = PATTERN_SIZE // count
    picture[::step] = picture[:, ::step] = _colour(generator)
    return picture.astype(np.float32)


def _bricks(generator: np.random.Generator) -> np.ndarray:
    """Courses of bricks with mortar."""
    rows, columns = 8, 4
    down, right = np.indices((PATTERN_SIZE, PATTERN_SIZE))
    row = down * rows // PATTERN_SIZE
    shifted = (right + (row % 2) * PATTERN_SIZE // (2 * columns)) % PATTERN_SIZE
    column = shifted * columns // PATTERN_SIZE
    tones = generator.uniform(0.7, 1.15, (rows, columns))[row, column][..., None]
    picture = np.clip(_colour(generator, 0.3, 0.9) * tones, 0, 1)
    joints = (down % (PATTERN_SIZE // rows) < 2) | (shifted % (PATTERN_SIZE // columns) < 2)
    picture[joints] = _colour(generator, 0.5, 0.9)
    return picture.astype(np.float32)


def _stripes(generator: np.random.Generator) -> np.ndarray:
    """Upright stripes of two colours."""
    count = int(generator.choice([4, 8, 16]))
    odd = ((np.arange(PATTERN_SIZE) * count // PATTERN_SIZE) % 2).astype(np.float32)[None, :, None]
    picture = odd * _colour(generator, 0.3) + (1 - odd) * _colour(generator, 0.3)
    return np.broadcast_to(picture, (PATTERN_SIZE, PATTERN_SIZE, 3)).astype(np.float32)


def _dots(generator: np.random.Generator) -> np.ndarray:
    """Wallpaper with dots."""
    step = PATTERN_SIZE // int(generator.choice([2, 4, 8]))
    place = (np.arange(PATTERN_SIZE) % step) / step - 0.5
    dot = (np.hypot(place[:, None], place[None, :]) < generator.uniform(0.15, 0.35))[..., None]
    return np.where(dot, _colour(generator), _colour(generator, 0.3)).astype(np.float32)


def _plaster(generator: np.random.Generator) -> np.ndarray:
    """A painted wall: one colour with faint blotches."""
    blotches = _noise(generator, PATTERN_SIZE, colourful=False)
    return (_colour(generator, 0.35) * (0.85 + 0.3 * blotches)).astype(np.float32)


def _carpet(generator: np.random.Generator) -> np.ndarray:
    """Coarse noise of one hue."""
    return (
        _colour(generator, 0.2) * (0.5 + 1.5 * _noise(generator, PATTERN_SIZE, colourful=True, slope=0.5))
    ).clip(0, 1)


FLOORS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (_planks, _tiles, _carpet)
WALLS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    _plaster,
    _plaster,
    _bricks,
    _stripes,
    _dots,
)


def _room(generator: np.random.Generator, half: float) -> Room:
    floor = FLOORS[generator.integers(len(FLOORS))](generator)
    wall = WALLS[generator.integers(len(WALLS))](generator)
    height = float(generator.uniform(0.9, 1.3) * half)
    posters = []
    for side in range(4):
        for _ in range(int(generator.integers(0, 4))):
            width, tall = generator.uniform(0.15, 0.5, 2) * half
            left = generator.uniform(-half, half - width)
            bottom = generator.uniform(0.15, 0.6) * height
            tall = min(tall, height - bottom)
            posters.append([side, left, bottom, width, tall, *_colour(generator), *_colour(generator)])
    return Room(
        half=half,
        height=height,
        patterns=(floor, wall, np.full((1, 1, 3), 0.75, dtype=np.float32)),
        period=tuple((generator.uniform(0.35, 0.9, 3) * half).tolist()),
        posters=np.array(posters, dtype=np.float32).reshape(-1, 11),
    )


def _tile(pattern: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The pattern, repeated, at places (N, 2) in units of its period (right, up)."""
    side = len(pattern)
    at = ((place - np.floor(place)) * side).astype(np.int64)
    np.minimum(at, side - 1, out=at)
    return pattern[side - 1 - at[:, 1], at[:, 0]]
