"""The arm with a parcel, in closed loop: readings out and targets in, 50 times a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_aug.synth.arm.motion import posture
from fusion_aug.synth.arm.parcels import HEIGHT, Parcel, load_parcel
from fusion_aug.synth.arm.scene import JOINTS, TAXELS, mujoco
from fusion_aug.synth.arm.world import full_mass, pressed, taxel_ids

TICK = 0.02  # s
OPEN = 0.044  # metres of each finger from the middle
SIDES = ("left", "right")
STIFFNESS, DAMPING = 2500.0, 100.0  # 1/s^2 and 1/s of the computed-torque control
CLOSING = 0.15  # m/s of each finger's motor
HAND = 0.10  # metres from the hand to the middle of the pads
HELD = 0.2  # N on both pads
LIFTED, NEAR, SLIPPED = 0.05, 0.03, 0.005  # metres of success
HOME = posture(0.33, 0.0, 0.22)


@dataclass(frozen=True)
class Faults:
    """What is wrong with the arm's readings.

    Attributes:
        latency: s by which readings are old, in ticks of 20 ms.
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

    Attributes:
        t: s. readings: the latest, as ``observe`` gives them with no faults.
    """

    def __init__(self, parcel: Parcel, faults: Faults = Faults()):
        self.parcel, self.faults, self.module = parcel, faults, mujoco()
        self.model, self.data = load_parcel(parcel)
        self.q_at = [int(self.model.joint(j).qposadr[0]) for j in JOINTS]
        self.v_at = [int(self.model.joint(j).dofadr[0]) for j in JOINTS]
        self.ids = [taxel_ids(self.model, side) for side in SIDES]
        self.mass = np.zeros((self.model.nv, self.model.nv))
        self.motors = np.full(2, OPEN)
        self.data.qpos[self.q_at] = [*HOME, OPEN, OPEN]
        self.module.mj_forward(self.model, self.data)
        self.lifted = self.peak = self.slip = 0.0
        self.grip: np.ndarray | None = None
        self.history = [self.sense()]

    @property
    def t(self) -> float:
        return float(self.data.time)

    def sense(self) -> dict[str, np.ndarray]:
        """Readings now. Fingers tell where their motors are, which pull them by springs: touch alone tells the force."""
        force, torque = (self.data.sensor(f"ft_{n}").data for n in ("force", "torque"))
        out = {"position": np.concatenate([self.data.qpos[self.q_at[:6]], self.motors]),
               "wrench": np.concatenate([force, torque])}
        for side, ids in zip(SIDES, self.ids, strict=True):
            out[f"taxel_{side}"] = pressed(self.module, self.model, self.data, ids)
        return out

    def observe(self) -> dict[str, np.ndarray]:
        """Readings as they arrive: old, biased, without dead taxels."""
        late = round(self.faults.latency / TICK)
        out = dict(self.history[max(0, len(self.history) - 1 - late)])
        if self.faults.bias is not None:
            out["position"] = out["position"] + np.concatenate([self.faults.bias, [0.0, 0.0]])
        if self.faults.alive is not None:
            for side, alive in zip(SIDES, self.faults.alive, strict=True):
                out[f"taxel_{side}"] = np.where(alive, out[f"taxel_{side}"], 0.0)
        return out

    def step(self, targets: np.ndarray) -> None:
        """Hold targets (8,) of the joints for a tick: rad of the rotary ones, as encoders read them, and metres."""
        goal = targets[:6] - (0.0 if self.faults.bias is None else self.faults.bias)
        arm, dt = self.v_at[:6], self.model.opt.timestep
        for k in range(round(TICK / dt)):
            self.module.mj_step1(self.model, self.data)
            q, v = self.data.qpos[self.q_at[:6]], self.data.qvel[arm]
            if k == 0:  # it hardly changes in a tick
                full_mass(self.module, self.model, self.data, self.mass)
                inertia = self.mass[np.ix_(arm, arm)]
            push = STIFFNESS * (goal - q) - DAMPING * v
            self.data.ctrl[:6] = inertia @ push + self.data.qfrc_bias[arm] - self.data.qfrc_passive[arm]
            self.motors += np.clip(np.clip(targets[6:], 0.0, 0.045) - self.motors, -CLOSING * dt, CLOSING * dt)
            self.data.ctrl[6:] = self.motors
            self.module.mj_step2(self.model, self.data)
        self.history.append(self.sense())
        self._judge()

    def pads(self) -> np.ndarray:
        """(3,) metres, the middle between the pads."""
        hand = self.data.body("hand")
        return np.asarray(hand.xpos + hand.xmat.reshape(3, 3)[:, 0] * HAND)

    def speed(self) -> np.ndarray:
        """(3,) m/s of the pads' middle."""
        jacobian = np.zeros((3, self.model.nv))
        self.module.mj_jac(self.model, self.data, jacobian, None, self.pads(), self.model.body("hand").id)
        return jacobian @ self.data.qvel

    def _judge(self) -> None:
        """Note height, peak and slip after a tick."""
        now, parcel, hand = self.history[-1], self.data.body("parcel"), self.data.body("hand")
        forces = np.array([now[f"taxel_{s}"] for s in SIDES])
        self.peak = max(self.peak, float(forces.max()))
        self.lifted = max(self.lifted, float(parcel.xpos[2]) - HEIGHT)
        place = (hand.xmat.reshape(3, 3).T @ (parcel.xpos - hand.xpos))[[0, 2]]  # along the pads
        if forces.sum(1).min() < HELD:
            self.grip = None
        elif self.grip is None:
            self.grip = place
        else:
            self.slip = max(self.slip, float(np.linalg.norm(place - self.grip)))

    def outcome(self) -> Outcome:
        """How it went so far."""
        parcel, held = self.data.body("parcel"), max(self.history[-1][f"taxel_{s}"].max() for s in SIDES)
        missed = float(np.hypot(*(parcel.xpos[:2] - self.parcel.goal)))
        upright = float(parcel.xmat[8]) > 0.9
        stands = upright and abs(float(parcel.xpos[2]) - HEIGHT) < 0.004 and held == 0.0
        return Outcome(self.lifted, missed, stands, self.peak / self.parcel.strength, self.slip)
