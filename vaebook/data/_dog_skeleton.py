"""From sixteen factors to the skeleton of a dog: posed in space, turned, and projected."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Number = Float[Tensor, " n"]  # one value per dog

# How many capsules each part has, in the order of a skeleton.
PART_COUNTS = {
    "head": 2,  # skull, muzzle
    "trunk": 5,  # loin, chest, neck, root and tip of the tail
    "legs": 12,  # upper legs, lower legs, paws; of each: fore and hind of one side, of the other
    "ears": 2,  # one per side
    "eyes": 2,
    "nose": 1,
    "saddle": 1,  # the patch on the back
}


class Skeleton(NamedTuple):
    """Tapered capsules in the picture plane, in picture widths, y upwards.

    Args:
        capsules: start x, start y, end x, end y, start radius, end radius of each part.
        near: how near each side of the dog is: 0 the far side, 1 the near side.
    """

    capsules: Float[Tensor, "n parts 6"]
    near: Float[Tensor, "n 2"]


class Point(NamedTuple):
    """A point of the dog: x towards its nose, y up, z to one side."""

    x: Number
    y: Number
    z: Number

    def moved(self, x: Number | float, y: Number | float) -> "Point":
        return Point(self.x + x, self.y + y, self.z)


class Capsule(NamedTuple):
    """A segment with a radius at either end."""

    start: Point
    end: Point
    start_radius: Number | float
    end_radius: Number | float


def disc(centre: Point, radius: Number | float) -> Capsule:
    """A capsule of no length."""
    return Capsule(centre, centre, radius, radius)


def pose(factors: Float[Tensor, "n 16"]) -> Skeleton:
    """Pose each dog and project it onto the picture."""
    x, y, size, facing, length, depth, leg, neck, skull, snout, ear, ear_angle, tail, tail_angle = (
        factors[:, :14].unbind(1)
    )
    neck, ear_angle, tail_angle = map(torch.deg2rad, (neck, ear_angle, tail_angle))
    zero = torch.zeros_like(x)

    # Facing turns the dog about the vertical axis, fast past the front view that hides its length,
    # slowly near the side view: 0 at us, 73 degrees at 0.2, 110 degrees at 1.
    turn = math.radians(75) * facing / torch.sqrt(facing.square() + 0.01)
    turn = turn + math.radians(35) * facing
    along, across = torch.sin(turn), torch.cos(turn)  # of the dog's x and z in the picture

    shoulder = Point(length / 2, zero, zero)
    waist = Point(-0.05 * length, -0.08 * depth, zero)
    hip = Point(-length / 2, 0.1 * depth, zero)
    withers = shoulder.moved(0.2 * depth, 0.35 * depth)
    reach = 0.075 + 0.6 * skull
    head = withers.moved(reach * torch.cos(neck), reach * torch.sin(neck))
    muzzle = head.moved(0.55 * skull + snout, -0.35 * skull)
    nose = muzzle.moved(0.25 * skull, 0.15 * skull)
    root = hip.moved(-0.75 * depth, 0.45 * depth)
    bend = root.moved(-0.55 * tail * torch.cos(tail_angle), 0.55 * tail * torch.sin(tail_angle))
    curl = tail_angle + 0.5
    tip = bend.moved(-0.5 * tail * torch.cos(curl), 0.5 * tail * torch.sin(curl))
    ground = -depth - leg

    body = [
        disc(head, skull),
        Capsule(head.moved(0.2 * skull, -0.15 * skull), muzzle, 0.68 * skull, 0.42 * skull),
        Capsule(hip, waist, 0.78 * depth, 0.70 * depth),
        Capsule(waist, shoulder, 0.70 * depth, depth),
        Capsule(withers, head, 0.62 * depth, 0.62 * skull),
        Capsule(root, bend, 0.022, 0.017),
        Capsule(bend, tip, 0.017, 0.010),
    ]
    upper: list[Capsule] = []
    lower: list[Capsule] = []
    paws: list[Capsule] = []
    ears: list[Capsule] = []
    eyes: list[Capsule] = []
    for side in (1.0, -1.0):
        z = side * 0.62 * depth
        # The near foreleg steps forward and the near hind leg back, whichever way the dog looks.
        step = side * 0.05 * torch.tanh(3 * along)
        elbow = Point(shoulder.x - 0.1 * depth, -0.35 * depth, z)
        wrist = Point(elbow.x + 0.5 * step, (ground + elbow.y) / 2, z)
        fore = Point(elbow.x + step, ground + 0.016, z)
        thigh = Point(hip.x + 0.05 * depth, -0.2 * depth, z)
        hock = Point(thigh.x - 0.035 - 0.8 * step, 0.6 * ground + 0.4 * thigh.y, z)
        hind = Point(thigh.x - 0.015 - step, ground + 0.016, z)
        upper += [Capsule(elbow, wrist, 0.5 * depth, 0.023)]
        upper += [Capsule(thigh, hock, 0.66 * depth, 0.022)]
        lower += [Capsule(wrist, fore, 0.023, 0.018), Capsule(hock, hind, 0.022, 0.018)]
        paws += [Capsule(paw, paw.moved(0.02, 0.0), 0.018, 0.014) for paw in (fore, hind)]
        base = Point(head.x - 0.35 * skull, head.y + 0.55 * skull, side * 0.75 * skull)
        flap = base.moved(-0.75 * ear * torch.cos(ear_angle), ear * torch.sin(ear_angle))
        flap = flap._replace(z=base.z + side * 0.25 * ear)
        ears += [Capsule(base, flap, 0.026, 0.012)]
        eyes += [disc(Point(head.x + 0.45 * skull, head.y + 0.25 * skull, 0.67 * base.z), 0.013)]
    saddle = Capsule(
        hip.moved(0.25 * length, 0.55 * depth),
        hip.moved(0.60 * length, 0.60 * depth),
        0.75 * depth,
        0.55 * depth,
    )

    # (x, y) is the middle of the box round the dog: nose to tail, crown to ground.
    front, back = nose.x + 0.022, -smooth_max(0.012 - tip.x, 0.78 * depth - hip.x)
    ear_top = head.y + 0.55 * skull + ear * torch.sin(ear_angle)
    top = smooth_max(smooth_max(head.y + skull, tip.y), ear_top)
    # A dog too long for the picture is smoothly made smaller: its length stays below 0.82.
    size = size * (1 + (size * (front - back) / 0.82) ** 8) ** (-1 / 8)
    x = x - size * along * (front + back) / 2
    y = y - size * (top + ground) / 2

    def row(capsule: Capsule) -> Float[Tensor, "n 6"]:
        start, end, start_radius, end_radius = capsule
        columns = [
            x + size * (start.x * along + start.z * across),
            y + size * start.y,
            x + size * (end.x * along + end.z * across),
            y + size * end.y,
            size * start_radius,
            size * end_radius,
        ]
        return torch.stack(columns, 1)

    parts = body + upper + lower + paws + ears + eyes + [disc(nose, 0.02), saddle]
    near = torch.sigmoid(4 * along)
    return Skeleton(torch.stack([row(part) for part in parts], 1), torch.stack([near, 1 - near], 1))


def smooth_max(a: Number, b: Number, softness: float = 0.02) -> Number:
    """The larger of two lengths, rounded where they meet."""
    return softness * torch.logaddexp(a / softness, b / softness)
