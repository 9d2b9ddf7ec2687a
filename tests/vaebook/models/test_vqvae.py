"""The VQ-VAE: nearest codes, straight-through gradients, the codebook's k-means, its bound."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent

from tests.properties import normal, uniform
from vaebook.data import load_digits
from vaebook.distributions import GaussianLikelihood, fit_codes
from vaebook.models import MLP, VQVAE, Codebook
from vaebook.training import fit, load_weights, save_weights, seeded

close = torch.testing.assert_close
SHAPE = (1, 4, 4)


def small(**options) -> VQVAE:
    settings = {"num_codes": 3, "codebook_size": 4, "code_dim": 2} | options
    with seeded(0):
        return VQVAE(
            SHAPE, network=MLP((8,), activation="tanh"), likelihood=GaussianLikelihood(0.3),
            **settings,
        )  # fmt: skip


def images(seed: int = 0, n: int = 6) -> torch.Tensor:
    return uniform(seed, n, *SHAPE).float()


# --- the codebook -------------------------------------------------------------------------------


def book(**options) -> Codebook:
    with seeded(1):
        return Codebook(5, 3, **options).eval()


def test_a_code_is_the_nearest_vector() -> None:
    codebook, inputs = book(), normal(0, 7, 2, 3).float()
    quantised = codebook(inputs)
    distances = ((inputs.numpy()[..., None, :] - codebook.vectors.numpy()) ** 2).sum(-1)
    np.testing.assert_array_equal(quantised.codes, distances.argmin(-1))
    close(quantised.vectors, codebook.vectors[quantised.codes])
    np.testing.assert_allclose(quantised.commitment, distances.min(-1), rtol=1e-5)


def test_the_gradient_passes_straight_through() -> None:
    inputs = normal(0, 7, 3).float().requires_grad_()
    weights = normal(1, 7, 3).float()
    (book()(inputs).vectors * weights).sum().backward()
    close(inputs.grad, weights)


def test_the_commitment_pulls_the_inputs_to_their_letters() -> None:
    codebook, inputs = book(), normal(0, 7, 3).float().requires_grad_()
    quantised = codebook(inputs)
    quantised.commitment.sum().backward()
    close(inputs.grad, 2 * (inputs - codebook.vectors[quantised.codes]).detach())


def test_in_evaluation_the_codebook_rests_and_in_training_it_follows() -> None:
    codebook, inputs = book(), normal(0, 50, 3).float()
    before = codebook.vectors.clone()
    codebook(inputs)
    assert torch.equal(codebook.vectors, before)
    codebook.train()(inputs)
    assert not torch.equal(codebook.vectors, before)
    assert not codebook.vectors.requires_grad


def test_it_follows_the_means_of_its_inputs() -> None:
    """One step without memory is one step of k-means."""
    codebook, inputs = book(decay=0.0, least_share=0.0).train(), normal(0, 200, 3).float()
    codes = codebook.nearest(inputs)
    assert len(codes.unique()) == 5
    codebook(inputs)
    means = torch.stack([inputs[codes == k].mean(0) for k in range(5)])
    close(codebook.vectors, means)


def test_it_finds_the_clusters() -> None:
    """Four clumps, five codes that all start in one place: idle codes are put to use."""
    centres = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    with seeded(0):
        codebook = Codebook(5, 2, decay=0.9)
        codebook.vectors = torch.full((5, 2), 50.0) + 0.01 * torch.randn(5, 2)
        for _ in range(300):
            inputs = centres[torch.randint(4, (64,))] + 0.1 * torch.randn(64, 2)
            codebook(inputs)
    distance = torch.cdist(centres, codebook.vectors).amin(1)
    assert (distance < 0.15).all()
    shares = torch.bincount(codebook.nearest(inputs), minlength=5)
    assert (shares > 0).all(), "no code is dead"


def test_the_first_batch_puts_every_vector_on_an_input() -> None:
    """Wherever the encoder puts them: a codebook of random vectors would stay far away."""
    codebook, inputs = book().train(), 100 + normal(0, 50, 3).float()
    codebook(inputs)
    assert (torch.cdist(codebook.vectors, inputs).amin(1) < 10).all()
    assert len(codebook.nearest(inputs).unique()) == 5
    few = book().train()
    few(inputs[:2])  # fewer inputs than codes
    assert few.vectors.isfinite().all()


def test_perplexity_counts_what_was_chosen_since_the_last_call() -> None:
    codebook = book(least_share=0.0).train()
    assert math.isnan(codebook.perplexity())
    codebook(codebook.vectors.repeat(3, 1).clone())
    assert codebook.perplexity() == pytest.approx(5)
    codebook(codebook.vectors[[0, 0, 0, 1]].clone())
    assert codebook.perplexity() == pytest.approx(4 / 27**0.25, rel=1e-5)  # shares 3/4 and 1/4
    codebook.eval()(codebook.vectors)
    assert math.isnan(codebook.perplexity()), "evaluation does not count"


def test_a_large_alphabet_is_used_within_a_few_steps() -> None:
    data = load_digits().train.images  # 8×8
    with seeded(0):
        model = VQVAE((1, 8, 8), 1, 256, network=MLP((32,)))
    history = fit(model, data, num_epochs=8, batch_size=64, seed=0, progress=False)
    used = len(model.encode(data).unique())
    assert used > 100, "of 256"
    assert history["perplexity"][-1] > 60
    assert history["perplexity"][-1] <= 256


def test_wrong_codebooks_are_refused() -> None:
    with pytest.raises(ValueError, match="num_vectors is 1"):
        Codebook(1, 2)
    with pytest.raises(ValueError, match="vector_dim is 0"):
        Codebook(4, 0)
    for decay in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="decay is"):
            Codebook(4, 2, decay=decay)
    with pytest.raises(ValueError, match="least_share is 1"):
        Codebook(4, 2, least_share=1)


# --- the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "weight"), [({"commitment": 0.7}, 0.7), ({}, 1.0)])
def test_the_loss_in_parts(settings: dict[str, float], weight: float) -> None:
    model, pictures = small(**settings).eval(), images()
    inputs = model.encoder(pictures).unflatten(1, (3, 2))
    vectors = model.codebook.vectors[model.encode(pictures)]
    output = model.decoder(vectors.flatten(1))
    distortion = -model.likelihood(output).log_prob(pictures)
    commitment = ((inputs - vectors) ** 2).sum((1, 2))
    close(model.loss(pictures), distortion + weight * commitment)


def test_the_encoder_learns_from_the_pictures() -> None:
    """Without the straight-through step the distortion would not reach it."""
    model = small(commitment=0.0)
    model.loss(images()).sum().backward()
    for parameter in model.encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_it_trains_saves_and_samples(tmp_path) -> None:
    model, pictures = small(), images(n=60)
    history = fit(model, pictures, num_epochs=40, batch_size=20, lr=1e-2, progress=False)
    assert history["loss"][-1] < history["loss"][0] - 0.5
    assert len(model.encode(pictures).unique()) == 4, "all codes are used"
    save_weights(model, tmp_path / "weights.safetensors")
    again = small()
    load_weights(again, tmp_path / "weights.safetensors")
    assert torch.equal(again.encode(pictures), model.encode(pictures))
    prior = fit_codes(model.encode(pictures), model.codebook_size)
    with seeded(2):
        codes = prior.sample((7,))
    close(model.sample(7, prior=prior, seed=2), model.decode(codes).detach())
    assert torch.equal(model.sample(7, seed=2), model.sample(7, seed=2))
    assert not torch.equal(model.sample(7, seed=2), model.sample(7, seed=3))
    close(model.reconstruct(pictures), model.decode(model.encode(pictures)))


def test_training_follows_the_seed() -> None:
    models = [small(), small()]
    for model in models:
        fit(model, images(n=30), num_epochs=3, batch_size=10, seed=4, progress=False)
    assert torch.equal(models[0].codebook.vectors, models[1].codebook.vectors)


def test_the_bound_against_the_sum_over_all_codes() -> None:
    """Three codes of four: 64 rows, so p(x) can be summed."""
    model, pictures = small().double(), images().double()
    with seeded(0):
        prior = Independent(Categorical(logits=torch.randn(3, 4).double()), 1)
    codes = torch.cartesian_prod(*[torch.arange(4)] * 3)
    output = model.decoder(model.codebook.vectors[codes].flatten(1))
    likelihood = model.likelihood(output[:, None]).log_prob(pictures)  # [64, n]
    for given in (prior, None):
        log_prior = given.log_prob(codes) if given else torch.full((64,), -3 * math.log(4)).double()
        log_evidence = torch.logsumexp(likelihood + log_prior[:, None], 0)
        terms = model.elbo(pictures, prior=given)
        assert (terms.elbo <= log_evidence + 1e-9).all()
        close(terms.elbo, -(terms.distortion + terms.rate))
        chosen = (codes[None] == model.encode(pictures)[:, None]).all(-1).int().argmax(1)
        rows = torch.arange(6)
        close(terms.elbo, (likelihood + log_prior[:, None])[chosen, rows])
    assert model.elbo(pictures).rate[0].item() == pytest.approx(model.uniform_rate)
    assert model.uniform_rate == pytest.approx(3 * math.log(4))


def test_wrong_use_says_what_to_do() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"expected whole numbers \(torch.long\) \[n, 3\]"):
        model.decode(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"codes lie in \[0, 4\]; expected 0 to 3"):
        model.decode(torch.tensor([[0, 4, 0]]))
    with pytest.raises(ValueError, match="Fit one with fit_codes"):
        model.sample(2, prior=Independent(Categorical(logits=torch.zeros(2, 4)), 1))
    with pytest.raises(ValueError, match="Divide bytes by 255"):
        model.loss(255 * images())
    with pytest.raises(ValueError, match="commitment is -1"):
        small(commitment=-1)
    with pytest.raises(ValueError, match="num_codes is 0"):
        small(num_codes=0)


def test_the_running_means_forget_by_the_decay() -> None:
    """Two batches: the first counts as 0.9 of itself beside the second, whose weight is 1."""
    codebook = book(decay=0.9, least_share=0.0).train()
    first, second = normal(0, 40, 3).float(), normal(1, 30, 3).float()
    counts, sums = torch.zeros(5), torch.zeros(5, 3)
    for weight, batch in ((0.9, first), (1.0, second)):
        one_hot = torch.nn.functional.one_hot(codebook.nearest(batch), 5).float()
        counts, sums = counts + weight * one_hot.sum(0), sums + weight * one_hot.T @ batch
        codebook(batch)
        if batch is first:
            close(codebook.vectors, sums / counts[:, None])
    close(codebook.vectors, sums / counts[:, None])


def test_a_vector_chosen_too_seldom_is_put_on_an_input_and_the_others_are_not() -> None:
    """95, 3, 2 and no choices among four vectors: a tenth of the uniform share is 2.5."""
    codebook = Codebook(4, 1, decay=0.0, least_share=0.1)
    codebook.vectors.copy_(torch.tensor([[0.0], [10.0], [20.0], [30.0]]))
    places = torch.tensor([0.0] * 95 + [10.0] * 3 + [20.0] * 2)
    inputs = (places + torch.linspace(-1, 1, 100))[:, None]
    with seeded(0):
        codebook.train()(inputs)
    close(codebook.vectors[:2, 0], torch.stack([inputs[:95].mean(), inputs[95:98].mean()]))
    assert all(vector in inputs[:, 0] for vector in codebook.vectors[2:, 0])
    assert codebook.vectors[2] != codebook.vectors[3], "each on another one"
    # they count as twice the least that they must have, so that they are not moved at once again
    close(codebook.counts, torch.tensor([95.0, 3.0, 5.0, 5.0]))
    still = Codebook(4, 1, decay=0.0, least_share=0.0)
    still.vectors.copy_(codebook.vectors)
    before = still.vectors.clone()
    still.train()(inputs[:1])
    assert (still.vectors == before).sum() >= 3, "with a share of 0 nobody is moved"


def test_the_counts_of_a_default_codebook_remember_about_a_hundred_batches() -> None:
    codebook, inputs = book().train(), normal(0, 50, 3).float()
    for _ in range(100):
        codebook(inputs)
    # 1 − (1 − 1/100)¹⁰⁰ of what endless repetition would bring; grace adds a little
    assert float(codebook.counts.sum()) == pytest.approx(50 * (1 - math.exp(-1)), rel=0.03)


def test_a_vq_vae_is_by_default_sixteen_codes_of_thirty_two_vectors() -> None:
    """Eighty bits for a picture, as its docstring has it."""
    model = VQVAE((1, 8, 8), network=MLP((8,)))
    assert model.uniform_rate / math.log(2) == pytest.approx(16 * 5)
    assert model.codebook.vectors.shape == (32, 4)
