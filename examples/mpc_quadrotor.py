"""Model predictive control of a planar quadrotor past a pillar, by the cross-entropy method in a receding horizon.

Every 50 ms a plan of thrusts and turning accelerations for the next 1.5 s is optimised and its first step is flown. The
cost is not differentiable: a step outside the goal costs 1, a step inside the pillar 100, thrust changes cost by their
absolute value. Plans are sampled with coloured noise, and each search starts from the last one's elites, shifted by one
step (Pinneri et al., Sample-efficient cross-entropy method for real-time planning, CoRL 2020, arXiv:2008.06389).

Between sampling and evaluation a guide makes plans safe: one that would come too near to the pillar within the next
0.6 s gets the first steps of a backup controller, which brakes and steers away (the hook of safe CEM-MPC: Zheng et al.,
2021). The picture shows the flight and some of the plans it was chosen from.
"""

import numpy as np

import optengine as oe
from optengine.solvers.cem import CEM, shifted

DT, HORIZON, NEAR = 0.05, 30, 12  # seconds; steps of a plan; steps that must be safe
GRAVITY, DRAG = 9.81, 0.1  # m/s^2, 1/s
GOAL, RADIUS = np.array([6.0, 1.0]), 0.3  # metres
PILLAR, WIDTH, MARGIN = (
    np.array([3.0, 0.9]),
    0.9,
    0.15,
)  # centre, radius and a plan's distance from it, metres
LOW, HIGH = np.array([0.0, -30.0]), np.array([20.0, 30.0])  # thrust / mass in m/s^2, turning in rad/s^2

space = oe.Space(u=oe.Real(np.tile(LOW, (HORIZON, 1)), np.tile(HIGH, (HORIZON, 1))))


def step(state: np.ndarray, u: np.ndarray) -> np.ndarray:
    """One Euler step of n quadrotors, (n, 6): x, z, tilt, and their velocities; u (n, 2)."""
    x, z, tilt, vx, vz, turn = state.T
    ax, az = -np.sin(tilt) * u[:, 0] - DRAG * vx, np.cos(tilt) * u[:, 0] - GRAVITY - DRAG * vz
    vx, vz, turn = vx + DT * ax, vz + DT * az, 0.9 * turn + DT * u[:, 1]
    return np.stack([x + DT * vx, z + DT * vz, tilt + DT * turn, vx, vz, turn], axis=1)


def fly(state: np.ndarray, plans: np.ndarray) -> np.ndarray:
    """States (n, steps, 6) of plans (n, steps, 2) from one state (6,)."""
    now, path = np.tile(state, (len(plans), 1)), []
    for t in range(plans.shape[1]):
        now = step(now, plans[:, t])
        path.append(now)
    return np.stack(path, axis=1)


def clearance(path: np.ndarray) -> np.ndarray:
    """Distance of each state from the pillar's edge or the ground, metres; negative inside."""
    return np.minimum(np.hypot(*(path[..., :2] - PILLAR).T).T - WIDTH, path[..., 1])


def cost(state: np.ndarray, plans: np.ndarray) -> np.ndarray:
    path = fly(state, plans)
    distance = np.hypot(*(path[..., :2] - GOAL).T).T
    outside = (
        (distance > RADIUS).sum(axis=1) + 2.0 * distance[:, -10:].mean(axis=1) + 0.3 * distance.mean(axis=1)
    )
    crashed = 100.0 * (clearance(path) < MARGIN).sum(axis=1)
    effort = 0.01 * np.abs(np.diff(plans, axis=1)).sum(axis=(1, 2)) / 10
    return outside + crashed + effort + 5.0 * (np.abs(path[..., 2]) > 1.2).sum(axis=1)


def backup(state: np.ndarray) -> np.ndarray:
    """The safe actions (NEAR, 2): brake, steer away from the pillar, hover."""
    now, actions = state[None].copy(), []
    for _ in range(NEAR):
        x, z, tilt, vx, vz, turn = now[0]
        away = np.array([x, z]) - PILLAR
        away = 4.0 * away / max(np.hypot(*away), 1e-9)
        ax, az = away[0] - 3.0 * vx, away[1] - 3.0 * vz + GRAVITY
        wanted = np.clip(np.arctan2(-ax, max(az, 1.0)), -0.8, 0.8)
        u = np.clip([np.hypot(ax, max(az, 0.0)), 60.0 * (wanted - tilt) - 12.0 * turn], LOW, HIGH)
        actions.append(u)
        now = step(now, u[None])
    return np.array(actions)


def plan(state: np.ndarray, start: np.ndarray | None, seed: int) -> oe.Result:
    """The best plan from `state`, searched from the rows `start`."""
    safe = backup(state)

    def guide(X: np.ndarray) -> np.ndarray:
        plans = X.reshape(-1, HORIZON, 2)
        unsafe = (clearance(fly(state, plans[:, :NEAR])) < MARGIN).any(axis=1)
        plans[unsafe, :NEAR] = safe
        return plans.reshape(len(X), -1)

    problem = oe.Problem(
        lambda X: cost(state, X.reshape(-1, HORIZON, 2)), space, call="encoded", vectorized=True
    )
    solver = CEM(noise_beta=2.0, population=80, sigma_0=0.25, gamma=1.25, restarts="never", guide=guide)
    x0 = None if start is None else space.decode(shifted(space, start)[:10])
    return oe.solve(problem, solver, budget=400, x0=x0, seed=seed)


def draw(flown: np.ndarray, fans: list[np.ndarray], file: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.2))
    for fan in fans:
        for path in fan:
            axes.plot(path[:, 0], path[:, 1], color="tab:blue", alpha=0.18, linewidth=0.8)
    axes.add_patch(plt.Circle(tuple(PILLAR), WIDTH, color="0.35"))
    axes.add_patch(plt.Circle(tuple(GOAL), RADIUS, fill=False, color="tab:green", linewidth=2))
    axes.plot(flown[:, 0], flown[:, 1], color="tab:red", linewidth=2)
    for x, z, tilt in flown[::5, :3]:
        arm = 0.18 * np.array([np.cos(tilt), np.sin(tilt)])
        axes.plot([x - arm[0], x + arm[0]], [z - arm[1], z + arm[1]], color="black", linewidth=2)
    axes.axhline(0.0, color="0.35", linewidth=3)
    axes.set(aspect="equal", xlabel="x (m)", ylabel="z (m)", title="Flight (red) and elite plans (blue)")
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    state, start = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), None
    flown, fans = [state], []
    for t in range(100):
        result = plan(state, start, seed=t)
        start = result.details["elites"]
        state = step(state[None], result.x["u"][:1])[0]
        flown.append(state)
        if t % 12 == 0:
            fans.append(fly(flown[-2], start[:12].reshape(-1, HORIZON, 2)))
        if np.hypot(*(state[:2] - GOAL)) < RADIUS and np.hypot(state[3], state[4]) < 1.0:
            break
    flight = np.array(flown)
    print(f"goal {'reached' if t < 99 else 'missed'} after {DT * (t + 1):.2f} s")
    print(f"nearest to pillar or ground: {clearance(flight[None])[0].min():.2f} m")
    draw(flight, fans, "mpc_quadrotor.png")
    print("flight drawn in mpc_quadrotor.png")
