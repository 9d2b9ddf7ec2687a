"""The derivative of dog pictures in the factors, many times faster than by automatic means.

A picture is factors -> skeleton (25 capsules of 6 numbers) -> distances -> paint. The skeleton is
tiny, so differences are cheap there. The paint works on each pixel by itself, so one backward pass
through the sum of all pixels yields the derivative of every pixel in its own distances. Only the
distance to a capsule, in between, is differentiated by hand, at the rims where it matters.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data._dog_painting import EDGE, paint, pixel_centres
from vaebook.data._dog_shapes import capsule_distance
from vaebook.data._dog_skeleton import Skeleton, pose

_CHUNK = 32  # dogs at a time: their maps stay in the cache
_NEGLIGIBLE = 1e-2  # change of a pixel per picture width of distance; at a rim it is about 10


def draw_with_jacobian(
    factors: Float[Tensor, "n f"], size: int
) -> tuple[Float[Tensor, "n 1 size size"], Float[Tensor, "n pixels f"]]:
    """Draw dogs, and differentiate each pixel in each factor.

    Args:
        factors: one row per dog, as for ``render``.
        size: height and width in pixels.

    Returns:
        The pictures, and the derivative of each pixel (row by row) in each factor, to about three
        digits of the largest in float32 and in float64.
    """
    skeleton, slope = pose_with_jacobian(factors)
    images, jacobians = [], []
    for start in range(0, len(factors), _CHUNK):
        rows = slice(start, start + _CHUNK)
        image, jacobian = _chunk_with_jacobian(
            factors[rows],
            Skeleton(*(value[rows] for value in skeleton)),
            Skeleton(*(value[rows] for value in slope)),
            size,
        )
        images.append(image)
        jacobians.append(jacobian)
    return torch.cat(images), torch.cat(jacobians)


def pose_with_jacobian(factors: Float[Tensor, "n f"]) -> tuple[Skeleton, Skeleton]:
    """Skeletons, and their derivatives with the factors as a last dimension.

    By central differences in float64, right to about nine digits: a skeleton is five hundred small
    operations, and forward mode would spend 0.2 s on their bookkeeping.
    """
    wide = factors.double()
    num_factors = wide.shape[1]
    step = 1e-6 * wide.abs().amax(0).clamp(min=0.1)  # [f], in the units of each factor
    steps = torch.cat([step.diag(), -step.diag(), torch.zeros_like(step)[None]])
    shifted = pose((wide[:, None] + steps).flatten(0, 1))

    def split(value: Float[Tensor, "rows *rest"]) -> tuple[Tensor, Tensor]:
        value = value.unflatten(0, (-1, len(steps))).movedim(1, -1)
        plus, minus = value[..., :num_factors], value[..., num_factors:-1]
        return value[..., -1].to(factors.dtype), ((plus - minus) / (2 * step)).to(factors.dtype)

    capsules, capsules_slope = split(shifted.capsules)
    near, near_slope = split(shifted.near)
    return Skeleton(capsules, near), Skeleton(capsules_slope, near_slope)


def _chunk_with_jacobian(
    factors: Float[Tensor, "n f"], skeleton: Skeleton, slope: Skeleton, size: int
) -> tuple[Float[Tensor, "n 1 size size"], Float[Tensor, "n pixels f"]]:
    """Paint one chunk, and chain the derivatives of paint, distances and skeleton."""
    x, y = pixel_centres(factors, size)
    pixels = (-1, -1, size, size)
    with torch.no_grad():
        distance = capsule_distance(x, y, skeleton.capsules)
        near = skeleton.near[..., None, None].expand(pixels).clone()
        colours = factors.detach()[:, -2:, None, None].expand(pixels).clone()
    leaves = [leaf.requires_grad_() for leaf in (distance, near, colours)]
    with torch.enable_grad():
        image = paint(distance, near, colours, softness=EDGE / size)
        by_distance, by_near, by_colours = torch.autograd.grad(image.sum(), leaves)
    with torch.no_grad():
        jacobian = by_near.flatten(2).transpose(1, 2) @ slope.near  # [n, pixels, f]
        jacobian[..., -2:] += by_colours.flatten(2).transpose(1, 2)
        _add_capsules(jacobian, by_distance, skeleton.capsules, slope.capsules, x, y)
    return image.detach()[:, None], jacobian


def _add_capsules(
    jacobian: Float[Tensor, "n pixels f"],
    by_distance: Float[Tensor, "n parts h w"],
    capsules: Float[Tensor, "n parts 6"],
    slope: Float[Tensor, "n parts 6 f"],
    x: Float[Tensor, " w"],
    y: Float[Tensor, " h"],
) -> None:
    """Chain the derivative in the distances with that of the capsules in the factors.

    Near the axis at ``t``, ``e = p - start - t axis`` points from the axis to the pixel, and the
    radius is ``r = start_radius + b(t) change`` with the smoothstep ``b``. Then

        d distance = -(e / |e|) . (d start + t d axis) - d start_radius - b d change - r'(t) dt
        |axis|^2 dt = (e - t axis) . d axis - axis . d start

    where ``dt`` counts only between the ends: ``r'`` vanishes there.
    """
    num_parts, size = by_distance.shape[1], len(x)
    dog, part, row, column = torch.nonzero(by_distance.abs() > _NEGLIGIBLE, as_tuple=True)
    weight = -by_distance[dog, part, row, column]  # [rims]
    owner = dog * num_parts + part
    axis = capsules[..., 2:4] - capsules[..., 0:2]
    length2 = axis.square().sum(-1) + 1e-8
    change = capsules[..., 5] - capsules[..., 4]
    table = torch.cat([capsules[..., 0:2], axis, length2[..., None], change[..., None]], 2)
    sx, sy, ax, ay, l2, dr = table.flatten(0, 1)[owner].unbind(1)
    dx, dy = x[column] - sx, y[row] - sy
    t = ((dx * ax + dy * ay) / l2).clamp(0, 1)
    ex, ey = dx - t * ax, dy - t * ay
    pull = weight / (ex * ex + ey * ey + 1e-8 * t * t + 1e-6).sqrt()  # as capsule_distance has it
    glide = weight * 6 * t * (1 - t) * dr / l2  # r'(t) / |axis|^2
    start_x, start_y = pull * ex - glide * ax, pull * ey - glide * ay
    axis_x = t * start_x + glide * ex
    axis_y = t * start_y + glide * ey
    smoothstep = t * t * (3 - 2 * t)
    rims = torch.stack([start_x, start_y, axis_x, axis_y, weight, weight * smoothstep], 1)
    weights = rims.new_zeros(*jacobian.shape[:2], num_parts, 6)
    weights[dog, row * size + column, part] = rims
    start, end = slope[..., :2, :], slope[..., 2:4, :]
    radii = slope[..., 4:5, :], slope[..., 5:6, :] - slope[..., 4:5, :]
    slopes = torch.cat([start, end - start, *radii], 2).flatten(1, 2)  # [n, parts 6, f]
    jacobian.baddbmm_(weights.flatten(2), slopes)
