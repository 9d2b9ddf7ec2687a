"""The dog models that chapters share: one network, one way to train it.

Chosen by the reconstruction error of a 16-number autoencoder on held-out dogs after 14 seconds of
one core (RMSE per pixel; PCA with 16 components has 0.062):

=================================  =====  ========
network                            lr     RMSE
=================================  =====  ========
MLP((512,)), raw pixels            1e-3   0.070
MLP((512,))                        1e-3   0.058
MLP((512,))                        3e-3   0.048
MLP((512,), "silu")                1e-3   0.058
MLP((512, 256))                    3e-3   0.077
MLP((1024,))                       3e-3   0.052
Conv((16, 32))                     1e-3   0.121
=================================  =====  ========

All but the first subtract the paper's brightness before the encoder, which matters most. On raw
pixels a rate of 2e-3 or more can leave the network stuck on the mean dog.
"""

from typing import Any

from vaebook.models import MLP

DOG_NETWORK = MLP((512,), background=0.95)
DOG_LATENT_DIM = 16
# keyword arguments of fit: 12 epochs: 0.043 on held-out dogs, about 20 seconds
DOG_TRAINING: dict[str, Any] = {"num_epochs": 12, "batch_size": 128, "lr": 3e-3}

# The deeper network of chapters 08 to 10, with the rate that suits it: at sigma 0.3 its samples are
# dogs in 73 of 100 cases after 20 epochs, about 30 seconds of one core (at 1e-3: 56).
DOG_DEEP = MLP((512, 512), background=0.95)
DOG_DEEP_TRAINING: dict[str, Any] = {"num_epochs": 20, "batch_size": 128, "lr": 2e-3}
