"""Draws invented cars: what a model is made of, and one picture of it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.reading.image_reader import Image

Points: TypeAlias = npt.NDArray[np.float64]
Colour: TypeAlias = tuple[int, int, int]

WIDTH, HEIGHT = 192, 144
_SPRITE = 640  # drawn large and shrunk, so that edges are smooth and poses differ by less than a pixel
_LENGTH = 560  # of the car on its sprite
_GROUND = 420

# Upper outlines from tail to nose and side windows, in car lengths; y counts upwards from the ground.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "saloon": [(0.01, 0.22), (0.04, 0.25), (0.23, 0.255), (0.31, 0.38), (0.55, 0.38), (0.70, 0.255), (0.93, 0.22)],
    "fastback": [(0.01, 0.21), (0.03, 0.265), (0.16, 0.27), (0.40, 0.33), (0.50, 0.33), (0.75, 0.24), (0.93, 0.20)],
    "estate": [(0.01, 0.22), (0.02, 0.33), (0.05, 0.395), (0.20, 0.40), (0.56, 0.39), (0.70, 0.255), (0.93, 0.22)],
    "van": [(0.01, 0.22), (0.01, 0.40), (0.05, 0.43), (0.40, 0.44), (0.66, 0.42), (0.86, 0.27), (0.96, 0.22)],
}
_WINDOWS: dict[str, list[list[tuple[float, float]]]] = {
    "saloon": [
        [(0.27, 0.26), (0.33, 0.355), (0.44, 0.36), (0.44, 0.26)],
        [(0.46, 0.26), (0.46, 0.36), (0.54, 0.36), (0.65, 0.26)],
    ],
    "fastback": [[(0.26, 0.255), (0.40, 0.31), (0.49, 0.31), (0.66, 0.245)]],
    "estate": [
        [(0.05, 0.27), (0.08, 0.37), (0.24, 0.375), (0.24, 0.27)],
        [(0.26, 0.27), (0.26, 0.375), (0.44, 0.375), (0.44, 0.27)],
        [(0.46, 0.27), (0.46, 0.375), (0.55, 0.37), (0.65, 0.27)],
    ],
    "van": [[(0.50, 0.28), (0.50, 0.40), (0.65, 0.40), (0.79, 0.28)]],
}


@dataclass(frozen=True)
class CarModel:
    """One class: its name and what tells it from the others.

    Attributes:
        name: Make, model, body and year.
        roofline: Shape of the body; each is shared by two models.
        spokes: Spokes of a wheel; 0 is a steel disc with holes.
        headlight: Shape of the headlight.
        grille: Pattern of the grille.
    """

    name: str
    roofline: Literal["saloon", "fastback", "estate", "van"]
    spokes: int
    headlight: Literal["round", "slit"]
    grille: Literal["bars", "mesh"]


CAR_MODELS = (
    CarModel("Aldebaran Corso Saloon 2011", "saloon", 5, "round", "bars"),
    CarModel("Aldebaran Corso Saloon 2019", "saloon", 12, "slit", "mesh"),
    CarModel("Borealis Lynx Fastback 2012", "fastback", 0, "round", "bars"),
    CarModel("Borealis Lynx Fastback 2020", "fastback", 3, "slit", "mesh"),
    CarModel("Castor Meridian Estate 2010", "estate", 12, "round", "bars"),
    CarModel("Castor Meridian Estate 2018", "estate", 0, "slit", "mesh"),
    CarModel("Dorado Porter Van 2009", "van", 0, "round", "bars"),
    CarModel("Dorado Porter Van 2017", "van", 5, "slit", "mesh"),
)


def draw_car(model: CarModel, random: np.random.Generator) -> tuple[Image, tuple[int, int, int, int]]:
    """Draw a photograph-like picture of a car; colour, pose, light and background vary.

    Args:
        model: The model to draw.
        random: Source of all that varies.

    Returns:
        The picture, uint8 of shape (144, 192, 3), RGB, and the car's box (x1, y1, x2, y2) in pixels counting from 0,
        the end exclusive.
    """
    scene = _scene(random)
    colour, alpha = _sprite(model, random)
    warp = _pose(random)
    size = (WIDTH, HEIGHT)
    shrink = cv2.warpPerspective(alpha, warp, (WIDTH * 3, HEIGHT * 3), flags=cv2.INTER_LINEAR)
    paint = cv2.warpPerspective(colour, warp, (WIDTH * 3, HEIGHT * 3), flags=cv2.INTER_LINEAR)
    mask = cv2.resize(shrink, size, interpolation=cv2.INTER_AREA).astype(np.float64)[..., None] / 255
    car = cv2.resize(paint, size, interpolation=cv2.INTER_AREA)
    picture = scene * (1 - mask) + car * mask
    slope = np.linspace(random.uniform(-0.25, 0.25), random.uniform(-0.25, 0.25), WIDTH)[None, :, None]
    light = random.uniform(0.6, 1.15) * (1 + slope) * random.uniform(0.9, 1.1, size=3)
    noise = random.normal(0, 4, size=picture.shape)
    rows, columns = np.nonzero(mask[..., 0] > 0.5)
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8), box


def _scene(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Paint sky, skyline or hills, and a road."""
    top, low = random.uniform(90, 235, size=3), random.uniform(140, 250, size=3)
    scene = np.linspace(top, low, HEIGHT)[:, None, :].repeat(WIDTH, axis=1)
    horizon = int(HEIGHT * random.uniform(0.45, 0.7))
    if random.random() < 0.5:
        x = 0
        while x < WIDTH:
            width, height = int(random.integers(12, 40)), int(random.integers(8, 60))
            cv2.rectangle(
                scene, (x, horizon - height), (x + width, horizon), random.uniform(60, 190, size=3).tolist(), -1
            )
            x += width + int(random.integers(0, 6))
    else:
        for _ in range(int(random.integers(2, 5))):
            centre = (int(random.integers(0, WIDTH)), horizon + 10)
            axes = (int(random.integers(30, 90)), int(random.integers(15, 55)))
            cv2.ellipse(scene, centre, axes, 0, 180, 360, random.uniform(50, 170, size=3).tolist(), -1, cv2.LINE_AA)
    scene[horizon:] = random.uniform(70, 180) * random.uniform(0.92, 1.08, size=3)
    if random.random() < 0.6:
        line = int(random.integers(horizon + 4, HEIGHT))
        cv2.line(scene, (0, line), (WIDTH, line + int(random.integers(-6, 6))), (225, 225, 210), 2, cv2.LINE_AA)
    return scene


def _pose(random: np.random.Generator) -> Points:
    """Place the sprite on a canvas three times as large as the picture, facing either way and seen a little askew."""
    scale = random.uniform(0.78, 0.98) * WIDTH * 3 / _LENGTH
    squeeze, angle = random.uniform(0.85, 1.0), np.deg2rad(random.uniform(-6, 6))
    facing = -1.0 if random.random() < 0.5 else 1.0
    centre = np.array([[1, 0, -_SPRITE / 2], [0, 1, -(_GROUND - 110)], [0, 0, 1]])
    stretch = np.diag([facing * squeeze * scale, scale, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    yaw = np.array([[1, 0, 0], [0, 1, 0], [random.uniform(-5e-4, 5e-4), 0, 1]])
    across, down = WIDTH * 3 * random.uniform(0.46, 0.54), HEIGHT * 3 * random.uniform(0.5, 0.66)
    place = np.array([[1, 0, across], [0, 1, down], [0, 0, 1]])
    warp: Points = place @ turn @ yaw @ stretch @ centre
    return warp


def _pixels(points: list[tuple[float, float]]) -> npt.NDArray[np.int32]:
    """Turn car lengths into sprite pixels."""
    left = (_SPRITE - _LENGTH) / 2
    return np.array([(left + x * _LENGTH, _GROUND - y * _LENGTH) for x, y in points]).round().astype(np.int32)


def _smooth(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Round an open line's corners off (Chaikin, 1974)."""
    line = np.array(points)
    for _ in range(3):
        quarter, three_quarters = 0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]
        line = np.vstack([line[:1], np.stack([quarter, three_quarters], axis=1).reshape(-1, 2), line[-1:]])
    return [(float(x), float(y)) for x, y in line]


def _sprite(model: CarModel, random: np.random.Generator) -> tuple[Image, Image]:
    """Draw the car facing right, and its mask."""
    paint = _paint(random)
    dark: Colour = (int(paint[0] * 0.6), int(paint[1] * 0.6), int(paint[2] * 0.6))
    colour = np.full((_SPRITE, _SPRITE, 3), 25, dtype=np.uint8)
    alpha = np.zeros((_SPRITE, _SPRITE), dtype=np.uint8)
    outline = _smooth([(0.0, 0.07), *_OUTLINES[model.roofline], (0.99, 0.17), (1.0, 0.07)])
    body = _pixels([*outline, (0.96, 0.045), (0.04, 0.045)])
    shadow = _pixels([(0.5, 0.0)])[0]
    cv2.ellipse(alpha, shadow.tolist(), (_LENGTH // 2, 14), 0, 0, 360, 150, -1, cv2.LINE_AA)
    cv2.fillPoly(alpha, [body], 255, cv2.LINE_AA)
    cv2.fillPoly(colour, [body], paint, cv2.LINE_AA)
    cv2.fillPoly(colour, [_pixels([(0.0, 0.07), (1.0, 0.07), (0.96, 0.045), (0.04, 0.045)])], dark, cv2.LINE_AA)
    cv2.polylines(colour, [_pixels([(0.03, 0.20), (0.95, 0.185)])], False, dark, 3, cv2.LINE_AA)
    glass = int(random.integers(40, 110))
    for window in _WINDOWS[model.roofline]:
        cv2.fillPoly(colour, [_pixels(window)], (glass, glass + 15, glass + 25), cv2.LINE_AA)
    for door in (0.45, 0.66):
        cv2.polylines(colour, [_pixels([(door, 0.25), (door, 0.07)])], False, dark, 2, cv2.LINE_AA)
    _draw_nose(colour, model)
    for x in (0.19, 0.80):
        _draw_wheel(colour, alpha, x, model.spokes, random.uniform(0, 2 * np.pi))
    return colour, alpha


def _paint(random: np.random.Generator) -> Colour:
    hsv = np.array([[[random.integers(0, 180), random.integers(20, 220), random.integers(110, 245)]]], dtype=np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _draw_nose(colour: Image, model: CarModel) -> None:
    """Draw headlight, grille and tail light."""
    glow: Colour = (255, 245, 200)
    if model.headlight == "round":
        centre = _pixels([(0.925, 0.185)])[0].tolist()
        cv2.circle(colour, centre, 24, (60, 60, 60), -1, cv2.LINE_AA)
        cv2.circle(colour, centre, 19, glow, -1, cv2.LINE_AA)
    else:
        cv2.fillPoly(colour, [_pixels([(0.83, 0.20), (0.97, 0.165), (0.98, 0.185), (0.85, 0.22)])], glow, cv2.LINE_AA)
    corner, far = _pixels([(0.90, 0.14), (0.99, 0.06)]).tolist()
    cv2.rectangle(colour, corner, far, (30, 30, 30), -1)
    if model.grille == "bars":
        for y in range(corner[1] + 5, far[1], 10):
            cv2.line(colour, (corner[0], y), (far[0], y), (225, 225, 225), 4, cv2.LINE_AA)
    else:
        for x in range(corner[0] + 4, far[0], 8):
            cv2.line(colour, (x, corner[1]), (x, far[1]), (110, 110, 110), 2, cv2.LINE_AA)
    cv2.fillPoly(
        colour, [_pixels([(0.005, 0.22), (0.045, 0.23), (0.045, 0.18), (0.005, 0.17)])], (200, 30, 30), cv2.LINE_AA
    )


def _draw_wheel(colour: Image, alpha: Image, x: float, spokes: int, angle: float) -> None:
    """Draw a tyre with its rim."""
    centre = _pixels([(x, 0.085)])[0]
    cv2.circle(alpha, centre.tolist(), 52, 255, -1, cv2.LINE_AA)
    cv2.circle(colour, centre.tolist(), 52, (22, 22, 24), -1, cv2.LINE_AA)
    rim: Colour = (195, 195, 200)
    if spokes == 0:
        cv2.circle(colour, centre.tolist(), 36, rim, -1, cv2.LINE_AA)
        for step in range(6):
            hole = centre + 23 * np.array([np.cos(angle + step * np.pi / 3), np.sin(angle + step * np.pi / 3)])
            cv2.circle(colour, hole.round().astype(int).tolist(), 6, (60, 60, 65), -1, cv2.LINE_AA)
        return
    cv2.circle(colour, centre.tolist(), 36, (70, 70, 75), -1, cv2.LINE_AA)
    cv2.circle(colour, centre.tolist(), 36, rim, 4, cv2.LINE_AA)
    for step in range(spokes):
        turn = angle + step * 2 * np.pi / spokes
        tip = centre + 36 * np.array([np.cos(turn), np.sin(turn)])
        cv2.line(colour, centre.tolist(), tip.round().astype(int).tolist(), rim, 11 if spokes < 8 else 4, cv2.LINE_AA)
