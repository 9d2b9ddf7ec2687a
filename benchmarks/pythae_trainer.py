"""The same VAE under pythae's ``BaseTrainer``. Runs in an environment of its own.

``python pythae_trainer.py IMAGES.npy WEIGHTS.pt EPOCHS BATCH SEED`` prints the seconds of
``train()`` and writes the weights under this package's names.
"""

import logging
import sys
import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, 400)
        self.mu = nn.Linear(400, 20)
        self.log_var = nn.Linear(400, 20)

    def forward(self, x: Tensor) -> ModelOutput:
        hidden = torch.relu(self.hidden(x.reshape(-1, 784)))
        return ModelOutput(embedding=self.mu(hidden), log_covariance=self.log_var(hidden))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(20, 400)
        self.output = nn.Linear(400, 784)

    def forward(self, z: Tensor) -> ModelOutput:
        output = torch.sigmoid(self.output(torch.relu(self.hidden(z))))
        return ModelOutput(reconstruction=output.reshape(-1, 1, 28, 28))


def main() -> None:
    images_file, weights_file, num_epochs, batch_size, seed = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    torch.manual_seed(int(seed))
    images = torch.from_numpy(np.load(images_file).astype(np.float32) / 255.0)[:, None]
    model = VAE(
        VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="mse"),
        encoder=Encoder(),
        decoder=Decoder(),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model,
            BaseDataset(images, torch.zeros(len(images))),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=int(num_epochs),
                per_device_train_batch_size=int(batch_size),
                learning_rate=1e-3,
                optimizer_cls="Adam",
                no_cuda=True,
                seed=int(seed),
                keep_best_on_train=False,
            ),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    trained = trainer.model
    layers = {
        "encoder.1": [trained.encoder.hidden],
        "encoder.3": [trained.encoder.mu, trained.encoder.log_var],
        "decoder.0": [trained.decoder.hidden],
        "decoder.2": [trained.decoder.output],
    }
    weights = {
        f"{name}.{part}": torch.cat([getattr(layer, part).detach() for layer in parts])
        for name, parts in layers.items()
        for part in ("weight", "bias")
    }
    torch.save(weights, weights_file)
    print(f"seconds {seconds}")


if __name__ == "__main__":
    main()
