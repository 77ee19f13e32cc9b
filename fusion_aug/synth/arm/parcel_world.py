"""The arm with a parcel, in closed loop: readings out and targets in, 50 times a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_aug.synth.arm.motion import posture
from fusion_aug.synth.arm.parcels import HEIGHT, Parcel, load_parcel
from fusion_aug.synth.arm.scene import JOINTS, mujoco
from fusion_aug.synth.arm.world import full_mass, pressed, taxel_ids

TICK = 0.02  # s
TICKS = 340  # of an episode, at most
SIDES = ("left", "right")
STIFFNESS, DAMPING = 2500.0, 100.0  # 1/s^2 and 1/s of the computed-torque control
OPEN, WIDEST = 0.044, 0.045  # metres of each finger from the middle
MOTOR = 0.15  # m/s of each finger's motor, at most
HAND = 0.10  # metres from the hand to the middle of the pads
HELD = 0.2  # N on both pads
LIFTED, NEAR, SLIPPED = 0.05, 0.03, 0.005  # metres of success
AWAY = 0.05  # metres of the pads from a parcel that the hand has left
STANDS = 0.004  # metres by which the middle of a parcel on the table may be off
HOME = posture(0.33, 0.0, 0.22)


@dataclass(frozen=True)
class Faults:
    """What is wrong with the arm's readings.

    Attributes:
        latency: s by which readings are old, rounded to ticks of 20 ms.
        bias: (6,) rad that the encoders of the rotary joints read too much.
        alive: (2, 16) bool, taxels of the left and right pad that work.
    """

    latency: float = 0.0
    bias: np.ndarray | None = None
    alive: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """How an episode went.

    Attributes:
        lifted: metres. missed: metres from the goal at the end. stands: whether it then stands on the table, let go.
        peak: greatest force on a taxel, over what the parcel withstands. slip: metres along the pads.
    """

    lifted: float
    missed: float
    stands: bool
    peak: float
    slip: float

    @property
    def success(self) -> bool:
        """Lifted by 5 cm, put down within 3 cm, not crushed, and without a slip of more than 5 mm."""
        placed = self.stands and self.missed <= NEAR
        return self.lifted >= LIFTED and placed and self.peak <= 1.0 and self.slip <= SLIPPED


class ParcelWorld:
    """An episode.

    The fingers' motors pull them by springs, and their encoders tell where the motors are. So what the fingers touch,
    and how hard, is felt by the taxels alone.

    Attributes:
        parcel, faults: as given. model, data: of MuJoCo. motors: (2,) metres, of the left and right finger.
    """

    def __init__(self, parcel: Parcel, faults: Faults | None = None):
        self.parcel, self.faults, self._module = parcel, faults or Faults(), mujoco()
        self.model, self.data = load_parcel(parcel)
        self._q = [int(self.model.joint(j).qposadr[0]) for j in JOINTS]
        self._v = [int(self.model.joint(j).dofadr[0]) for j in JOINTS]
        self._taxels = [taxel_ids(self.model, side) for side in SIDES]
        self._mass = np.zeros((self.model.nv, self.model.nv))
        self.motors, self._goal = np.full(2, OPEN), HOME
        self.data.qpos[self._q] = [*HOME, OPEN, OPEN]
        self._module.mj_forward(self.model, self.data)
        self._lifted = self._peak = self._slip = 0.0
        self._grip: np.ndarray | None = None
        self._readings = [self._read()]

    def observe(self) -> dict[str, np.ndarray]:
        """Readings as they arrive now, with the faults.

        Returns:
            position (8,) rad and metres, in the order of ``JOINTS``; wrench (6,) N and Nm, of the arm on the hand, in
            the hand's axes; taxel_left, taxel_right (16,) N.
        """
        late = round(self.faults.latency / TICK)
        out = dict(self._readings[max(0, len(self._readings) - 1 - late)])
        if self.faults.bias is not None:
            out["position"] = out["position"] + np.concatenate([self.faults.bias, [0.0, 0.0]])
        if self.faults.alive is not None:
            for side, alive in zip(SIDES, self.faults.alive, strict=True):
                out[f"taxel_{side}"] = np.where(alive, out[f"taxel_{side}"], 0.0)
        return out

    def step(self, targets: np.ndarray) -> None:
        """Go to targets (8,) of the joints within a tick: rad of the rotary ones, as encoders read them, and metres.

        Drives pass from one target to the next in even steps: jumps would shake the hand, and the wrench with it.
        """
        goal = targets[:6] - (0.0 if self.faults.bias is None else self.faults.bias)
        wide, arm, dt = np.clip(targets[6:], 0.0, WIDEST), self._v[:6], float(self.model.opt.timestep)
        steps = round(TICK / dt)
        way = (goal - self._goal) / steps
        full_mass(self._module, self.model, self.data, self._mass)  # it hardly changes in a tick
        inertia = self._mass[np.ix_(arm, arm)]
        for _ in range(steps):
            self._module.mj_step1(self.model, self.data)
            self._goal = self._goal + way
            push = STIFFNESS * (self._goal - self.data.qpos[self._q[:6]]) - DAMPING * self.data.qvel[arm]
            self.data.ctrl[:6] = inertia @ push + self.data.qfrc_bias[arm] - self.data.qfrc_passive[arm]
            self.motors += np.clip(wide - self.motors, -MOTOR * dt, MOTOR * dt)
            self.data.ctrl[6:] = self.motors
            self._module.mj_step2(self.model, self.data)
        self._readings.append(self._read())
        self._judge()

    def outcome(self) -> Outcome:
        """How it went so far."""
        parcel, held = self.data.body("parcel"), max(float(self._readings[-1][f"taxel_{s}"].max()) for s in SIDES)
        missed = float(np.hypot(*(parcel.xpos[:2] - self.parcel.goal)))
        on_table = float(parcel.xmat[8]) > 0.9 and abs(float(parcel.xpos[2]) - HEIGHT) < STANDS
        peak = self._peak / self.parcel.strength
        return Outcome(self._lifted, missed, on_table and held == 0.0, peak, self._slip)

    def over(self) -> bool:
        """Whether nothing can change: the parcel was put down and the hand has left it, or it is crushed or slipped."""
        now = self.outcome()
        away = float(np.linalg.norm(self.data.body("parcel").xpos - self.data.body("hand").xpos)) > HAND + AWAY
        return (now.lifted >= LIFTED and now.stands and away) or now.peak > 1.0 or now.slip > SLIPPED

    def _read(self) -> dict[str, np.ndarray]:
        """Readings now, without faults."""
        force, torque = (self.data.sensor(f"ft_{n}").data for n in ("force", "torque"))
        position = np.concatenate([self.data.qpos[self._q[:6]], self.motors])
        out = {"position": position, "wrench": np.concatenate([force, torque])}
        for side, ids in zip(SIDES, self._taxels, strict=True):
            out[f"taxel_{side}"] = pressed(self._module, self.model, self.data, ids)
        return out

    def _judge(self) -> None:
        """Note height, peak and slip after a tick."""
        parcel, hand = self.data.body("parcel"), self.data.body("hand")
        forces = np.array([self._readings[-1][f"taxel_{s}"] for s in SIDES])
        self._peak = max(self._peak, float(forces.max()))
        self._lifted = max(self._lifted, float(parcel.xpos[2]) - HEIGHT)
        along = (hand.xmat.reshape(3, 3).T @ (parcel.xpos - hand.xpos))[[0, 2]]  # the pads
        if forces.sum(1).min() < HELD:
            self._grip = None
        elif self._grip is None:
            self._grip = along
        else:
            self._slip = max(self._slip, float(np.linalg.norm(along - self._grip)))
