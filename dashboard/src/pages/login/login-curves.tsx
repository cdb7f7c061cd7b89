// The background of the login page: falling losses in the colours of the charts, drawn by a formula, so they are always
// the same.

const WIDTH = 1000;
const HEIGHT = 600;
const POINT_COUNT = 160;
const CURVE_COUNT = 6;

function drawCurve(number: number): string {
  const floor = 0.58 + 0.07 * number;
  const speed = 3.2 + 0.9 * ((number * 5) % CURVE_COUNT);
  const points = Array.from({ length: POINT_COUNT }, (_, index) => {
    const x = index / (POINT_COUNT - 1);
    const fall = floor - floor * 0.95 * Math.exp(-speed * x);
    const noise = Math.sin(index * (1.3 + number * 0.21)) + Math.sin(index * 0.47 + number * 2) * 1.4;
    const y = fall + noise * 0.0075 * (1.3 - x);
    return `${(x * WIDTH).toFixed(1)} ${(y * HEIGHT).toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}

const CURVES = Array.from({ length: CURVE_COUNT }, (_, number) => drawCurve(number));

export function LoginCurves() {
  return (
    <svg class="login-curves" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {CURVES.map((path, number) => (
        <path key={path} d={path} style={{ stroke: `var(--series-${number + 1})` }} />
      ))}
    </svg>
  );
}
