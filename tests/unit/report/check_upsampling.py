"""Compares upsampled tubes with PyTorch's interpolation: check_upsampling.py CASES.json"""

import json
import sys

import numpy as np
import torch

with open(sys.argv[1], encoding="utf-8") as file:
    cases = json.load(file)
for case in cases:
    tube = torch.tensor(case["tube"], dtype=torch.float32).reshape(1, 1, *case["from"])
    want = torch.nn.functional.interpolate(tube, size=case["to"], mode="trilinear",
                                           align_corners=False).numpy().ravel()
    # Both add eight products in float32, in another order: a few units in the last place of 1.
    np.testing.assert_allclose(case["upsampled"], want, atol=1e-6, err_msg=str(case["to"]))
print("equal")
