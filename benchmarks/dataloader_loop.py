"""The training loop that most VAE examples use: a DataLoader over images decoded one by one.

Per image the work is that of a torchvision data set with ``ToTensor``: the stored bytes become a
PIL image, the PIL image an array, the array a float tensor divided by 255. Written out here
because it is what is measured.
"""

import time

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class PilImages(Dataset):
    """Bytes ``[n, 28, 28]`` that become a tensor when an image is asked for."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = torch.from_numpy(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.pixels[index].numpy())
        array = np.array(picture, copy=True)
        tensor = torch.from_numpy(array).view(picture.size[1], picture.size[0], 1)
        return tensor.permute(2, 0, 1).contiguous().to(torch.float32).div(255), 0


class ExampleVAE(nn.Module):
    """784-400-20 with two heads, as the examples write it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc_mu = nn.Linear(400, 20)
        self.fc_log_var = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = F.relu(self.fc1(x.view(-1, 784)))
        mu, log_var = self.fc_mu(hidden), self.fc_log_var(hidden)
        std = torch.exp(0.5 * log_var)
        z = mu + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, log_var


def train(
    pixels: np.ndarray, *, num_epochs: int, batch_size: int, seed: int
) -> tuple[float, dict[str, Tensor]]:
    """Train once; seconds, and the weights under the package's names."""
    torch.manual_seed(seed)
    loader = DataLoader(PilImages(pixels), batch_size=batch_size, shuffle=True)
    model = ExampleVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start = time.perf_counter()
    for _ in range(num_epochs):
        model.train()
        train_loss = 0.0
        for data, _ in loader:
            optimizer.zero_grad()
            reconstruction, mu, log_var = model(data)
            error = 0.5 * F.mse_loss(reconstruction, data.view(-1, 784), reduction="sum")
            kld = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
            loss = (error + kld) / len(data)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
    seconds = time.perf_counter() - start
    layers = {
        "encoder.1": [model.fc1],
        "encoder.3": [model.fc_mu, model.fc_log_var],
        "decoder.0": [model.fc3],
        "decoder.2": [model.fc4],
    }
    weights = {
        f"{name}.{part}": torch.cat([getattr(layer, part).detach() for layer in parts])
        for name, parts in layers.items()
        for part in ("weight", "bias")
    }
    return seconds, weights
