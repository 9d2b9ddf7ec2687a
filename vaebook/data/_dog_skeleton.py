"""From sixteen factors to the tapered capsules of a dog, posed in three dimensions and projected."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Scalar = Float[Tensor, "n"]


class Capsules(NamedTuple):
    """Tapered capsules in the picture plane, in frame widths, y upwards."""

    start: Float[Tensor, "n parts 2"]
    end: Float[Tensor, "n parts 2"]
    start_radius: Float[Tensor, "n parts"]
    end_radius: Float[Tensor, "n parts"]


class Skeleton(NamedTuple):
    """The parts of a dog, in the groups in which they are painted."""

    body: Capsules  # loin, chest, neck, head, snout, two of the tail
    legs: Capsules  # four upper legs, lower legs, paws: fore and hind of one side, then the other
    ears: Capsules  # one per side
    marks: Capsules  # one eye per side, the nose, the saddle patch
    near: Float[Tensor, "n 2"]  # how near to us each side is: 0 far side, 1 near side


class Point(NamedTuple):
    """A point of the dog: x towards the nose, y up, z to the dog's own side."""

    x: Scalar
    y: Scalar
    z: Scalar

    def add(self, x: Scalar | float = 0.0, y: Scalar | float = 0.0) -> "Point":
        return Point(self.x + x, self.y + y, self.z)


def pose(factors: Float[Tensor, "n 16"]) -> Skeleton:
    """Pose the skeleton of each dog and project it onto the picture."""
    (
        x,
        y,
        size,
        facing,
        length,
        depth,
        leg,
        neck,
        skull,
        snout,
        ear,
        ear_angle,
        tail,
        tail_angle,
        _,
        _,
    ) = factors.unbind(1)
    neck, ear_angle, tail_angle = (torch.deg2rad(angle) for angle in (neck, ear_angle, tail_angle))
    zero = torch.zeros_like(x)

    # Facing turns the dog about the vertical axis. It hurries past the front view, in which the length is lost.
    turn = (
        math.radians(75) * facing / torch.sqrt(facing.square() + 0.01) + math.radians(35) * facing
    )
    along, across = torch.sin(turn), torch.cos(turn)
    near_right = torch.sigmoid(4 * along)
    stride = 0.05 * torch.tanh(3 * along)  # the near foreleg steps forward, whichever side it is

    shoulder = Point(length / 2, zero, zero)
    hip = Point(-length / 2, 0.1 * depth, zero)
    withers = shoulder.add(0.2 * depth, 0.35 * depth)
    reach = 0.075 + 0.6 * skull
    head = withers.add(reach * torch.cos(neck), reach * torch.sin(neck))
    muzzle = head.add(0.55 * skull + snout, -0.35 * skull)
    root = hip.add(-0.75 * depth, 0.45 * depth)
    middle = root.add(-0.55 * tail * torch.cos(tail_angle), 0.55 * tail * torch.sin(tail_angle))
    curl = tail_angle + 0.5
    tip = middle.add(-0.5 * tail * torch.cos(curl), 0.5 * tail * torch.sin(curl))
    waist = Point(zero - 0.05 * length, -0.08 * depth, zero)

    body = [
        (hip, waist, 0.78 * depth, 0.70 * depth),
        (waist, shoulder, 0.70 * depth, depth),
        (withers, head, 0.62 * depth, 0.62 * skull),
        (head, head, skull, skull),
        (head.add(0.2 * skull, -0.15 * skull), muzzle, 0.68 * skull, 0.42 * skull),
        (root, middle, zero + 0.022, zero + 0.017),
        (middle, tip, zero + 0.017, zero + 0.010),
    ]
    ground = -depth - leg
    legs, ears, eyes = [], [], []
    for side in (1.0, -1.0):
        z = side * 0.62 * depth
        step = side * stride
        elbow = Point(shoulder.x - 0.1 * depth, -0.35 * depth, z)
        wrist = Point(elbow.x + 0.5 * step, (ground + elbow.y) / 2, z)
        paw = Point(elbow.x + step, ground + 0.016, z)
        legs += [
            (elbow, wrist, 0.5 * depth, zero + 0.023),
            (wrist, paw, zero + 0.023, zero + 0.018),
            (paw, paw.add(0.02), zero + 0.018, zero + 0.014),
        ]
        thigh = Point(hip.x + 0.05 * depth, -0.2 * depth, z)
        hock = Point(thigh.x - 0.035 - 0.8 * step, 0.6 * ground + 0.4 * thigh.y, z)
        paw = Point(thigh.x - 0.015 - step, ground + 0.016, z)
        legs += [
            (thigh, hock, 0.66 * depth, zero + 0.022),
            (hock, paw, zero + 0.022, zero + 0.018),
            (paw, paw.add(0.02), zero + 0.018, zero + 0.014),
        ]
        base = Point(head.x - 0.35 * skull, head.y + 0.55 * skull, side * 0.75 * skull)
        flap = Point(
            base.x - 0.75 * ear * torch.cos(ear_angle),
            base.y + ear * torch.sin(ear_angle),
            side * (0.75 * skull + 0.25 * ear),
        )
        ears.append((base, flap, zero + 0.026, zero + 0.012))
        eye = Point(head.x + 0.45 * skull, head.y + 0.25 * skull, side * 0.5 * skull)
        eyes.append((eye, eye, zero + 0.013, zero + 0.013))
    nose = muzzle.add(0.25 * skull, 0.15 * skull)
    saddle = (
        hip.add(0.25 * length, 0.55 * depth),
        hip.add(0.6 * length, 0.6 * depth),
        0.75 * depth,
        0.55 * depth,
    )
    marks = [*eyes, (nose, nose, zero + 0.02, zero + 0.02), saddle]

    # Centre the box from nose to tail and from ground to crown, then move it to (x, y).
    front = nose.x + 0.022
    back = -smooth_max(0.012 - tip.x, -hip.x + 0.78 * depth)
    ear_tip = head.y + 0.55 * skull + ear * torch.sin(ear_angle)
    top = smooth_max(smooth_max(head.y + skull, tip.y), ear_tip)
    # A dog too long for the frame is smoothly made smaller: size * width stays below 0.82.
    size = size * (1 + (size * (front - back) / 0.82) ** 8) ** (-1 / 8)
    shift_x = x - size * along * (front + back) / 2
    shift_y = y - size * (top + ground) / 2

    def project(capsules: list[tuple[Point, Point, Tensor, Tensor]]) -> Capsules:
        def flatten(points: list[Point]) -> Float[Tensor, "n parts 2"]:
            px = torch.stack([p.x * along + p.z * across for p in points], 1) * size[:, None]
            py = torch.stack([p.y for p in points], 1) * size[:, None]
            return torch.stack([px + shift_x[:, None], py + shift_y[:, None]], 2)

        starts, ends, start_radii, end_radii = zip(*capsules, strict=True)
        return Capsules(
            flatten(list(starts)),
            flatten(list(ends)),
            torch.stack(start_radii, 1) * size[:, None],
            torch.stack(end_radii, 1) * size[:, None],
        )

    near = torch.stack([near_right, 1 - near_right], 1)
    return Skeleton(
        project(body),
        project(legs[0::3] + legs[1::3] + legs[2::3]),
        project(ears),
        project(marks),
        near,
    )


def smooth_max(a: Scalar, b: Scalar, softness: float = 0.02) -> Scalar:
    """The larger of two lengths, rounded where they meet."""
    return softness * torch.logaddexp(a / softness, b / softness)
