"""The authors' own PyTorch code as a contender: their network, sampler and training.

`--peer` names a clone of https://github.com/YangNaruto/ProEBM, which is imported as it
is. Settings are those of its `run_cifar10.sh`. Three things are set right from outside:

- the block `"1"`, which its last commit lost, is put back: without it every resolution
  uses the block of the next finer one;
- image channels, of which that commit has one;
- data come from memory, and nothing is plotted or written.

Beyond 32 pixels the blocks are wider inside than those of `inner="input"`: weights of
such networks do not fit.
"""

import math
import sys
import types
from unittest import mock

import torch

from benchmarks._torch import TorchContender, _array, torch_kernel

#: Imported by its training script, and not needed by what is called here.
_UNUSED = (
    "torchvision",
    "torchvision.transforms",
    "scipy",
    "scipy.stats",
    "utils",
    "utils.dataset_util",
    "utils.logger",
    "utils.submit",
    "utils.score",
    "utils.util",
)
#: Images after which its training is in the middle of a level, with the fade over.
_SETTLED = 10**9


def networks_of(clone):
    """Their module of networks, imported from a clone."""
    sys.path.insert(0, str(clone))
    from module import networks

    return networks


def make_ebm(networks, base_width, activation="swish"):
    """A network of theirs with random weights, its lost block put back."""
    ebm = networks.EBM(
        base_channel=base_width,
        spectral=True,
        projection=False,
        activation_fn=activation,
    )
    ebm.progression["1"] = networks.SNConvBlock(
        base_width // 4,
        base_width // 2,
        3,
        1,
        downsample=True,
        activation_fn=activation,
    )
    ebm.n_layer = len(ebm.progression)
    return ebm


def make_trainer(ebms, clip, step_size):
    """Their `ProgressiveEBM`, which samples from networks as its scripts do.

    Args:
        ebms: list of their networks, coarsest level first.
        clip: float, the largest pixel.
        step_size: float, η.
    """
    stand_ins = {name: mock.MagicMock() for name in _UNUSED}
    with mock.patch.dict(sys.modules, stand_ins):
        from train_v1 import ProgressiveEBM

    theirs = ProgressiveEBM.__new__(ProgressiveEBM)
    levels = enumerate(ebms, start=1)
    theirs.ebm = torch.nn.ModuleDict({str(level): ebm for level, ebm in levels})
    theirs.min_step, theirs.progressive, theirs.val_clip = 1, True, clip
    theirs.args = types.SimpleNamespace(cyclic=True, langevin_lr=step_size)
    return theirs


class Authors(TorchContender):
    """A contender, see `benchmarks._package`; float32 only."""

    def __init__(self, problem, clone):
        super().__init__(problem)
        if problem.dtype != "float32":
            raise ValueError("The authors' code computes in float32.")
        networks = networks_of(clone)
        self.networks = [
            _Network(networks, problem, level).to(self.device)
            for level in range(len(problem.levels))
        ]
        ebms = [network.ebm for network in self.networks]
        theirs = make_trainer(ebms, problem.clip[1], problem.step_size)
        self.trainer = theirs
        theirs.device, theirs.default_lr = torch.device(self.device), 1e-3
        theirs.resolution = [4, *problem.levels]
        theirs.truncation = 1.0
        theirs.plot = lambda *arguments: None

    def steps_at(self, level):
        images = self._images(level).contiguous()

        def run():
            self.trainer.min_step = level + 1  # this level alone
            return _array(self._sampled(images.clone(), level + 1))

        return run

    def chain(self):
        problem, side = self.problem, self.problem.levels[0]

        def run():
            self.trainer.min_step = 1
            start = self.trainer.sample_p_0(
                problem.batch, side, problem.channels, initial="uniform"
            )
            return _array(self._sampled(start, len(problem.levels)))

        return run

    def training_step(self):
        problem, theirs = self.problem, self.trainer
        step, side = len(problem.levels), problem.levels[-1]
        batch = self._images(-1).contiguous(), torch.zeros(problem.batch, dtype=int)
        start = theirs.sample_p_0
        theirs.sample_p_0 = lambda bs, im_sz, initial: start(
            bs, im_sz, problem.channels, initial
        )
        theirs.sample_data = lambda *arguments: [batch]
        theirs.load_ckpt = lambda name: (step, 1.0, _SETTLED)
        arguments = types.SimpleNamespace(
            init_size=problem.levels[0],
            max_size=side,
            ckpt="",
            base_sigma=0.0,
            batch={},
            batch_default=problem.batch,
            lr={},
            lr_default=1e-3,
            iterations=1,
            phase=_SETTLED,
            phases={},
            conditional=False,
            from_beginning=True,
            initial="uniform",
            soft=True,
            langevin_step=problem.steps,
            l2_coefficient=0.0,
        )
        theirs.args = types.SimpleNamespace(**vars(theirs.args), **vars(arguments))

        def run():
            theirs.train(theirs.args, None, "", load=True, ckpt_name="")

        return run

    def _sampled(self, x, step):
        return self.trainer.langevin_sampler(
            x, self.problem.steps, step, 1, from_beginning=True
        )


class _Network(torch.nn.Module):
    """One network of theirs with our weights, and as an energy, low = likely."""

    def __init__(self, networks, problem, level):
        super().__init__()
        self.step = level + 1
        self.ebm = make_ebm(networks, problem.base_width)
        self._copy(problem.layers[level])
        self.ebm.eval()  # as its training does for the finest level

    def _copy(self, layers):
        ebm, finest = self.ebm, self.ebm.n_layer - 1 - self.step
        blocks = [ebm.progression[str(finest + n)] for n in range(self.step)]
        parts = [ebm.from_rgb[finest].conv]
        for block in blocks:
            parts += [block.conv1[0], block.conv2[0], block.skip[0].conv]
        parts += [ebm.final_conv.conv1[0], ebm.final_conv.conv2[0], ebm.linear.linear]
        for part, (kernel, bias, right) in zip(parts, layers.values(), strict=True):
            kernel, bias = torch_kernel(kernel), torch.tensor(bias)
            if right is None:  # they multiply by √(2 / inputs) at each call
                kernel = kernel / math.sqrt(2.0 / kernel[0].numel())
            else:
                right = torch.tensor(right)
                left = right @ kernel.flatten(1)
                part.weight_u.copy_(right)
                part.weight_v.copy_(left / left.norm())
            if part is parts[-1]:  # they learn f = −E
                kernel, bias = -kernel, -bias
            part.weight_orig.data, part.bias.data = kernel, bias

    def bind(self):
        return lambda x: -self.ebm(x, step=self.step, alpha=1)[:, 0]
