"""The authors' network and sampler, trained for a time, in a process of its own.

Beside TensorFlow in one process, PyTorch's gradients of convolutions crash.
"""

import time

import numpy as np
import torch

from benchmarks._authors import make_ebm, make_trainer, networks_of

#: Langevin steps of a level, and σ of the noise on images.
STEPS, DATA_NOISE = 15, 0.03


class AuthorsTraining:
    """Their networks, one for each level, and their `langevin_sampler` as it is.

    Args:
        clone: path of a clone of their repository.
        levels: int, number of levels; level 1 is the coarsest.
        coarsest: int, its resolution.
        base_width: int, their `base_channel`.
        seed: int, of weights, noise and the choice of images.
    """

    def __init__(self, clone, levels, coarsest, base_width, seed):
        torch.manual_seed(seed)
        networks = networks_of(clone)
        self.finest, self.coarsest = levels, coarsest
        ebms = [make_ebm(networks, base_width) for _ in range(levels)]
        self.theirs = make_trainer(ebms, clip=1.0, step_size=1.0)

    def train(self, level, images, batch, seconds):
        """Trains a level for a CPU time; all but the first begin with its weights
        of the level below and a fade-in of half the time.

        Args:
            level: int.
            images: float32 array `(n, r, r, 1)`, all images at its resolution.
            batch: int, images of a step.
            seconds: float.

        Returns:
            int, training steps.
        """
        network = self.theirs.ebm[str(level)]
        if level > 1:
            network.load_state_dict(self.theirs.ebm[str(level - 1)].state_dict())
        images = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        adam = torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999))
        began, steps = time.process_time(), 0
        while (done := (time.process_time() - began) / seconds) < 1:
            alpha = 1.0 if level == 1 else min(1.0, 2 * done)
            positives = images[torch.randint(len(images), (batch,))]
            positives = positives + DATA_NOISE * torch.randn_like(positives)
            network.eval()
            negatives = self._chains(batch, level, alpha)
            network.train()
            both = torch.cat([positives, negatives])
            values = network(both, step=level, alpha=alpha)
            loss = values[batch:].mean() - values[:batch].mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            steps += 1
        network.eval()
        return steps

    def sample(self, count):
        """Images of the finest level, float32 array `(count, r, r, 1)`."""
        return self._chains(count, self.finest).numpy().transpose(0, 2, 3, 1)

    def _chains(self, count, level, alpha=1.0):
        noise = 1 - 2 * torch.rand(count, 1, self.coarsest, self.coarsest)
        chains = self.theirs.langevin_sampler(noise, STEPS, level, alpha, True)
        return chains.detach()
