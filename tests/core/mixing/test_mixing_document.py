"""docs/mixing.md: its code runs, on the sample log."""

from __future__ import annotations

from places import DRIVE, REPOSITORY

import fusion_aug as fa


def test_code_of_the_document_runs() -> None:
    text = (REPOSITORY / "docs" / "mixing.md").read_text(encoding="utf-8").replace('"datasets/drive"', repr(str(DRIVE)))
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 6
    names: dict = {"fa": fa, "root": DRIVE}
    for block in blocks:
        exec(compile(block, "docs/mixing.md", "exec"), names)
    assert names["out"].id == names["log"][3].id and len(names["copies"].history) == 1
    assert names["mixed"].partner.shape == (4,) and names["kept"].present["lidar"].dtype.is_floating_point is False
