"""What a method is: a frozen value that names the networks it needs and translates faces with them.

Three roles, each an abstract class. A `NetworkRecipe` says how one network is built and learned; a `Learner` is one
training under way; a `Translator` turns VIS faces into NIR faces with fitted networks. Recipes and translators are
frozen dataclasses: equal values are the same work and are done once. A field declared with ``compare=False`` is a
label (a name, a title): it takes part neither in equality nor in the key under which results are stored.

Conventions, never varied: images are float32 (B, 3, H, W) in [-1, 1]; NIR is three equal channels; landmarks are
(B, K, 2) as x, y in pixels, NaN where a point is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from nferbench.contract.noise import ImageNoise

Group = Literal["none", "gan", "diffusion"]


@dataclass(frozen=True)
class FaceSpec:
    """What the faces of a run look like; all that a network may depend on besides its own recipe."""

    size: int  # side of the square face in pixels
    landmarks: int = 0  # points per face; 0 where the data set has no landmarks


@dataclass(frozen=True)
class Batch:
    """Training faces on the device, not augmented yet.

    Row i of each tensor belongs to one VIS-NIR pair, unless the recipe is not `paired`: then to two unrelated faces.
    """

    vis: Tensor  # (B, 3, H, W) in [-1, 1]
    nir: Tensor  # (B, 3, H, W) in [-1, 1], three equal channels
    vis_landmarks: Tensor | None = None  # (B, K, 2) x, y in pixels; NaN where missing; None without landmarks
    nir_landmarks: Tensor | None = None


class Learner(ABC):
    """One training under way: everything that changes from update to update, and nothing else.

    The training loop owns data order, checkpoints and the random streams. Before update k it seeds torch's global
    generators and hands over `rng`, both from (stage, k); a learner therefore keeps no random state of its own.
    """

    @abstractmethod
    def step(self, batch: Batch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        """Do update number k (0-based) on `batch`; return the losses as detached 0-d tensors, left on the device."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs, as nested dicts and lists of tensors and numbers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; the updates that follow are bit for bit those of an undisturbed training."""

    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """Every network in training by name: the fitted one, and those it is trained against (a discriminator)."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """The state dict of the fitted network, as translators will receive it (the average, where one is kept)."""


@runtime_checkable
class Divisible(Protocol):
    """A learner that may be able to do an update in pieces, whose gradients add up to those of the whole batch.

    Pieces change rounding alone: everything random is drawn for the whole batch, and each piece takes its share.
    """

    def divide(self, piece: int) -> bool:
        """Do the updates that follow in pieces of at most `piece` rows of the batch; 0 does them whole.

        Returns:
            Whether this training can be divided; where not, nothing has changed.
        """


@runtime_checkable
class Paced(Protocol):
    """A learner that can tell how large its steps are; the log of a training has them beside the losses."""

    def rate_of_last_update(self) -> float:
        """The learning rate of the last update, above or equal to 0; of several, that of the fitted network."""


class NetworkRecipe(ABC):
    """How one network is built and learned. Subclasses are frozen dataclasses; new behaviour raises `version`."""

    version: ClassVar[int] = 1
    batch_size: int  # pairs per update

    @property
    def title(self) -> str:
        """What the network is called in lists of work: letters, digits and dashes; "" takes the role."""
        return ""

    @property
    def paired(self) -> bool:
        """Whether the training may know which NIR face belongs to which VIS face.

        Where it is False the training loop deals VIS and NIR faces out in two independent orders, so that no row of a
        batch is a pair but by chance.
        """
        return True

    def ready(self) -> None:
        """Check what a training needs besides faces, such as weights made by others; asked for before any training.

        Raises:
            UsageError: something is missing; the message says how to get it, or how to do without.
        """
        return

    @abstractmethod
    def build(self, faces: FaceSpec) -> nn.Module:
        """A freshly initialised network (the one that translators receive), drawn from torch's global generator.

        Raises:
            UsageError: these faces cannot be used (a size the network does not accept, landmarks that are missing).
        """

    @abstractmethod
    def learner(self, network: nn.Module, faces: FaceSpec, pairs: int) -> Learner:
        """A training of `network` (already on its device) on a training set of `pairs` pairs."""

    @abstractmethod
    def updates(self, pairs: int) -> int:
        """The number of updates of a full training on `pairs` pairs."""


class Translator(ABC):
    """A method. Subclasses are frozen dataclasses with their hyperparameters and the recipes of their networks."""

    version: ClassVar[int] = 1
    group: ClassVar[Group]
    heterogeneous: ClassVar[bool] = False  # made for heterogeneous faces: a dagger in the tables
    grey: ClassVar[bool] = True  # output averaged to grey before it is stored; False keeps colour
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # a plugin's own settings per preset, dotted field names

    name: str  # as typed on the command line; a dataclass field with compare=False
    title: str  # as printed in tables; a dataclass field with compare=False

    @property
    def stamps(self) -> tuple[str, ...]:
        """What a reader of this row's numbers must know about this value; a footnote each in every table."""
        return ()

    @abstractmethod
    def networks(self) -> Mapping[str, NetworkRecipe]:
        """The networks that this value needs, by role. Equal recipes of any two methods are trained once."""

    @abstractmethod
    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        """Translate VIS faces to NIR.

        Called in inference mode with the fitted networks frozen, in eval mode and on the device of `vis`. All
        randomness comes from `noise`, one stream an image, so that an output does not depend on its batch mates.

        Args:
            vis: (B, 3, H, W) in [-1, 1].
            networks: the fitted networks by the roles of `networks()`.
            noise: one random stream per image of the batch.

        Returns:
            (B, 3, H, W), finite floating point in [-1, 1]; what overshoots is clamped, another scale is refused.
        """
