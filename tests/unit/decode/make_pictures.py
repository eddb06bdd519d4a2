"""Makes small pictures with Pillow, and what Pillow decodes of them: goldens of picture_golden_test.cpp.

    pip install pillow numpy && python tests/unit/decode/make_pictures.py

Writes pictures/NAME.jpg or .png, and beside each NAME.jpg.rgb: rows of 8-bit RGB, 48 x 32 pixels.
"""
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 48, 32


def picture():
    """Waves of all three channels, and a hard edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    red = 127 + 120 * np.sin(x / 7) * np.cos(y / 9)
    green = 127 + 120 * np.sin((x + y) / 11)
    blue = 127 + 120 * np.cos((x - 2 * y) / 13)
    rgb = np.stack([red, green, blue], axis=-1)
    rgb[20:28, 30:42] = (250, 40, 10)
    return rgb.round().astype(np.uint8)


def save(name, image, **options):
    path = FOLDER / name
    image.save(path, **options)
    with Image.open(path) as read:
        rgb = np.asarray(read.convert("RGB"))
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    path.with_name(name + ".rgb").write_bytes(rgb.tobytes())


def main():
    FOLDER.mkdir(exist_ok=True)
    image = Image.fromarray(picture())
    save("444.jpg", image, quality=95, subsampling=0)
    save("444_coarse.jpg", image, quality=40, subsampling=0)
    save("progressive.jpg", image, quality=95, subsampling=0, progressive=True)
    save("420.jpg", image, quality=95, subsampling=2)
    save("422.jpg", image, quality=95, subsampling=1)
    save("grey.jpg", image.convert("L"), quality=95)
    save("rgb.png", image)
    save("grey.png", image.convert("L"))
    save("palette.png", image.quantize(64))
    save("bits.png", image.convert("1"))


if __name__ == "__main__":
    main()
