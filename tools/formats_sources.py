"""Small logs of robots, made by the packages of their formats, and what these packages read of a log.

It runs in an environment of each package (``tools/formats.py`` makes them), so it imports nothing of ours, and each
package only where it is asked for:

    python tools/formats_sources.py make lerobot FOLDER
    python tools/formats_sources.py read lerobot FOLDER NUMBERS.npz
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, HEIGHT, WIDTH, FPS = 8, 48, 64, 10
PADDED = 2500  # bytes of a row of ALOHA's compressed pictures
JOINTS = [f"joint{k}" for k in range(6)]
TASKS = ["put the left cup on the tray", "open the drawer"]


def picture(seed: int) -> np.ndarray:
    """Soft colours (HEIGHT, WIDTH, 3) uint8, which videos keep well."""
    small = np.random.default_rng(seed).uniform(30, 226, (4, 5, 3))
    for axis, size in ((0, HEIGHT), (1, WIDTH)):
        at = np.linspace(0, small.shape[axis] - 1, size)
        low = np.minimum(at.astype(int), small.shape[axis] - 2)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        small = small.take(low, axis) * (1 - share) + small.take(low + 1, axis) * share
    return small.round().astype(np.uint8)


def motion(seed: int, width: int, frames: int = FRAMES) -> np.ndarray:
    """Rows (frames, width) float32 of slow motions."""
    phase, time = np.random.default_rng(seed).uniform(0, 6, width), np.arange(frames)[:, None] / FPS
    return np.sin(phase + time).astype(np.float32)


# --- LeRobot 0.3.3, which writes v2.1 --------------------------------------------------------------------------------
def without_torchvision() -> None:
    """LeRobot imports torchvision, which is not there for every torch, for pictures that it decodes alone."""
    import datasets  # noqa: F401  (asks for it first)

    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, AttributeError):
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2", "torchvision.io"):
            sys.modules[name] = types.ModuleType(name)
        top, both = sys.modules["torchvision"], sys.modules["torchvision.transforms"]
        top.transforms, top.io = both, sys.modules["torchvision.io"]
        both.v2 = sys.modules["torchvision.transforms.v2"]
        both.v2.Transform = both.v2.Compose = object
        both.ToTensor = lambda: lambda image: np.asarray(image)


def make_lerobot(root: Path) -> None:
    """Two episodes with a video, pictures in the table, a state and an action."""
    without_torchvision()
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    vector = {"dtype": "float32", "shape": (6,), "names": JOINTS}
    pictures = {"shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}
    features = {
        "observation.state": vector, "action": vector, "observation.images.front": {"dtype": "video", **pictures},
        "observation.images.wrist": {"dtype": "image", **pictures},
        "observation.grip": {"dtype": "float32", "shape": (1,), "names": ["opening"]},
    }  # fmt: skip
    dataset = LeRobotDataset.create("own/set", FPS, features, root=root, robot_type="so100")
    for episode in range(2):
        state = motion(episode, 6)
        for k in range(FRAMES):
            frame = {
                "observation.state": state[k], "action": state[min(k + 1, FRAMES - 1)],
                "observation.images.front": picture(10 * episode + k), "observation.grip": state[k, :1],
                "observation.images.wrist": picture(100 + 10 * episode + k),
            }  # fmt: skip
            dataset.add_frame(frame, TASKS[episode])
        dataset.save_episode()


def read_lerobot(root: Path) -> dict[str, np.ndarray]:
    """Columns of all frames, and the statistics of the whole set."""
    without_torchvision()
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("own/set", root=root)
    table = dataset.hf_dataset.with_format("arrow")[:]
    out = {n: np.array(table[n].to_pylist()) for n in table.column_names if "images" not in n}
    out["tasks"] = np.array([dataset.meta.tasks[k] for k in out["task_index"].tolist()])
    out["lengths"] = np.array([e["length"] for e in dataset.meta.episodes.values()])
    return out | {f"stats/{f}/{n}": v for f, own in dataset.meta.stats.items() for n, v in own.items()}


# --- ALOHA, as ACT's record_sim_episodes.py and Mobile ALOHA's record_episodes.py write it ---------------------------
def make_aloha(root: Path) -> None:
    """An episode with raw pictures of a simulation, and two of a robot with a base and compressed ones."""
    import h5py

    for episode, name in enumerate(("sim/episode_0", "mobile/episode_0", "mobile/episode_1")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(root / f"{name}.hdf5", "w", rdcc_nbytes=1024**2 * 2) as file:
            file.attrs["sim"] = episode == 0
            file.attrs["compress"] = episode > 0
            seen = file.create_group("observations")
            images = seen.create_group("images")
            lengths = []
            for c, camera in enumerate(("cam_high", "cam_left_wrist", "cam_right_wrist") if episode else ("top",)):
                frames = [picture(100 * episode + 10 * c + k) for k in range(FRAMES)]
                if episode == 0:
                    chunks = (1, HEIGHT, WIDTH, 3)
                    images.create_dataset(camera, (FRAMES, HEIGHT, WIDTH, 3), "uint8", chunks=chunks)[...] = frames
                else:
                    coded = [jpeg(frame) for frame in frames]
                    lengths.append([len(c) for c in coded])
                    rows = [np.frombuffer(c.ljust(PADDED, b"\0"), np.uint8) for c in coded]
                    images.create_dataset(camera, (FRAMES, PADDED), "uint8", chunks=(1, PADDED))[...] = rows
            for seed, name in enumerate(("qpos", "qvel", "effort")):
                seen.create_dataset(name, data=motion(10 * episode + seed, 14).astype(np.float64))
            file.create_dataset("action", data=motion(10 * episode, 14).astype(np.float64))
            if episode:
                file.create_dataset("base_action", data=motion(10 * episode + 9, 2).astype(np.float64))
                file.create_dataset("compress_len", data=np.array(lengths, dtype=np.float64))


def jpeg(frame: np.ndarray) -> bytes:
    """An RGB picture as JPEG, quality 50 as ALOHA's."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(frame).save(out, "JPEG", quality=50)
    return out.getvalue()


# --- RLDS, by tensorflow-datasets ------------------------------------------------------------------------------------
def make_rlds(root: Path) -> None:
    """Three episodes in two shards, with pictures as JPEG and PNG, a sentence, a state, an action and a reward."""
    import tensorflow_datasets as tfds

    step = {
        "observation": {
            "image": tfds.features.Image(shape=(HEIGHT, WIDTH, 3), dtype=np.uint8, encoding_format="jpeg"),
            "wrist_image": tfds.features.Image(shape=(HEIGHT, WIDTH, 3), dtype=np.uint8, encoding_format="png"),
            "state": tfds.features.Tensor(shape=(8,), dtype=np.float32),
        },
        "action": tfds.features.Tensor(shape=(7,), dtype=np.float32),
        "reward": tfds.features.Scalar(dtype=np.float32), "discount": tfds.features.Scalar(dtype=np.float32),
        **{n: tfds.features.Scalar(dtype=np.bool_) for n in ("is_first", "is_last", "is_terminal")},
        "language_instruction": tfds.features.Text(),
    }  # fmt: skip
    features = {
        "steps": tfds.features.Dataset(step),
        "episode_metadata": {"file_path": tfds.features.Text(), "episode_id": tfds.features.Scalar(dtype=np.int32)},
    }

    class OwnSet(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples(range(2)), "val": self._generate_examples(range(2, 3))}

        def _generate_examples(self, numbers: range) -> Any:
            for n in numbers:
                about = {"file_path": f"own/{n}.npy", "episode_id": n}
                yield f"e{n}", {"steps": rlds_steps(n), "episode_metadata": about}

    OwnSet(data_dir=root.parent / "built").download_and_prepare()
    (built,) = (root.parent / "built").rglob("features.json")
    built.parent.rename(root)


def rlds_steps(episode: int) -> list[dict[str, Any]]:
    """Steps of an episode; episodes differ in length."""
    count = FRAMES - episode
    state, action = motion(episode, 8, count), motion(50 + episode, 7, count)
    return [
        {
            "observation": {"image": picture(20 * episode + k), "wrist_image": picture(200 + 20 * episode + k),
                            "state": state[k]},
            "action": action[k], "reward": float(k == count - 1), "discount": 1.0, "is_first": k == 0,
            "is_last": k == count - 1, "is_terminal": k == count - 1, "language_instruction": TASKS[episode % 2],
        }
        for k in range(count)
    ]  # fmt: skip


def read_rlds(root: Path) -> dict[str, np.ndarray]:
    """Numbers, sentences and pictures of every step of every episode, ``SPLIT/EPISODE/FEATURE``."""
    import tensorflow_datasets as tfds

    builder, out = tfds.builder_from_directory(str(root)), {}
    for split in builder.info.splits:
        for n, episode in enumerate(builder.as_dataset(split=split, shuffle_files=False)):
            steps = list(tfds.as_numpy(episode["steps"]))
            for name in ("action", "reward", "is_last", "language_instruction"):
                out[f"{split}/{n}/{name}"] = np.array([s[name] for s in steps])
            for name in ("image", "wrist_image", "state"):
                out[f"{split}/{n}/{name}"] = np.array([s["observation"][name] for s in steps])
    return out


# --- Zarr 2, as the ReplayBuffer of diffusion policy and UMI ---------------------------------------------------------
def make_zarr(root: Path) -> None:
    """The replay buffer of PushT (float pictures, chunks over episodes), and one of UMI in a zip with JPEG XL."""
    import imagecodecs.numcodecs
    import numcodecs
    import zarr

    imagecodecs.numcodecs.register_codecs("imagecodecs_jpegxl", verbose=False)
    root.mkdir(parents=True)
    lengths = [FRAMES, FRAMES - 2]
    frames = np.stack([picture(k) for k in range(sum(lengths))])
    state = motion(3, 5, len(frames))
    (root / "pusht").mkdir()
    buffer = zarr.open_group(str(root / "pusht" / "pusht.zarr"), mode="w")
    data, meta = buffer.create_group("data"), buffer.create_group("meta")
    disk = numcodecs.Blosc("zstd", clevel=5, shuffle=numcodecs.Blosc.NOSHUFFLE)
    data.create_dataset("img", data=frames.astype(np.float32), chunks=(5, HEIGHT, WIDTH, 3), compressor=disk)
    data.create_dataset("state", data=state, chunks=(6, 5), compressor=numcodecs.Blosc("lz4"))
    data.create_dataset("action", data=state[:, :2] * 100, chunks=(6, 2), compressor=disk)
    data.create_dataset("keypoint", data=motion(4, 18, len(frames)).reshape(-1, 9, 2), compressor=None)
    meta.create_dataset("episode_ends", data=np.cumsum(lengths), compressor=disk)
    (root / "umi").mkdir()
    with zarr.ZipStore(str(root / "umi" / "dataset.zarr.zip"), mode="w") as store:
        buffer = zarr.group(store)
        data, meta = buffer.create_group("data"), buffer.create_group("meta")
        codec = imagecodecs.numcodecs.Jpegxl(level=99, numthreads=1)
        pictures = {"chunks": (1, HEIGHT, WIDTH, 3), "compressor": codec}
        data.create_dataset("camera0_rgb", data=frames, **pictures)
        for name, width in (("robot0_eef_pos", 3), ("robot0_eef_rot_axis_angle", 3), ("robot0_gripper_width", 1)):
            data.create_dataset(name, data=motion(width, width, len(frames)), compressor=disk)
        meta.create_dataset("episode_ends", data=np.cumsum(lengths), compressor=disk)


def read_zarr(root: Path) -> dict[str, np.ndarray]:
    """All arrays of both buffers."""
    import imagecodecs.numcodecs
    import zarr

    imagecodecs.numcodecs.register_codecs("imagecodecs_jpegxl", verbose=False)
    out = {}
    for name, path in (("pusht", "pusht/pusht.zarr"), ("umi", "umi/dataset.zarr.zip")):
        group = zarr.open_group(zarr.ZipStore(str(root / path)) if path.endswith("zip") else str(root / path), "r")
        out |= {f"{name}/{n}": group["data"][n][:] for n in group["data"]}
        out[f"{name}/episode_ends"] = group["meta/episode_ends"][:]
    return out


MAKERS: dict[str, Callable[[Path], None]] = {
    "lerobot": make_lerobot, "aloha": make_aloha, "rlds": make_rlds, "zarr": make_zarr,
}  # fmt: skip
READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    "lerobot": read_lerobot, "rlds": read_rlds, "zarr": read_zarr,
}  # fmt: skip

if __name__ == "__main__":
    do, kind, folder = sys.argv[1:4]
    if do == "make":
        MAKERS[kind](Path(folder))
    else:
        found = READERS[kind](Path(folder))
        np.savez(sys.argv[4], **found)
        print(json.dumps({name: list(np.shape(value)) for name, value in found.items()}))
