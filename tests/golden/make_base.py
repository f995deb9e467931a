#!/usr/bin/python3
"""Arrays as numpy itself saves them, for tests/unit/base/test_npy.c. Usage: make_base.py, from anywhere."""
import io
import pathlib

import numpy as np

out = pathlib.Path(__file__).parent / "base"
out.mkdir(exist_ok=True)
ramp = np.arange(6).reshape(2, 3)
np.save(out / "f4.npy", (ramp / 4).astype("<f4"))
np.save(out / "f8.npy", (ramp / 4).astype("<f8"))
np.save(out / "i4.npy", (ramp - 3).astype("<i4"))
np.save(out / "i8.npy", (ramp - 3).astype("<i8"))
np.save(out / "i8_large.npy", np.array([1, 2**31], "<i8"))
np.save(out / "u1.npy", (ramp * 40).astype("u1"))
np.save(out / "b1.npy", ramp % 2 == 0)
np.save(out / "scalar.npy", np.float32(2.5))
np.save(out / "empty.npy", np.zeros((0, 4), "<f4"))
np.save(out / "vector.npy", np.array([1, 2, 3], "<f4"))
np.save(out / "fortran.npy", np.asfortranarray(ramp.astype("<f4")))
np.save(out / "big_endian.npy", ramp.astype(">f4"))
np.save(out / "complex.npy", ramp.astype("<c8"))
v2 = io.BytesIO()
np.lib.format.write_array(v2, (ramp / 4).astype("<f4"), version=(2, 0))
(out / "version2.npy").write_bytes(v2.getvalue())
