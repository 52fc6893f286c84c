// The explorer of page 07: the curve of a training run, and a picture at each checkpoint of it.

import { load } from "./controls.js";

const INK = "#222222", PALE = "#dddddd", LETTER = 13, HEIGHT = 260;
const DASHES = 'stroke-dasharray="7 4"';
const MARGIN = { left: 46, right: 10, top: 8, bottom: 40 };

/** What the explorer needs of a run: the slider, whose places are the checkpoints, and the pictures. */
export async function loadRun(given) {
  const pictures = await Promise.all(given.pictures.map((row) => Promise.all(row.map(load))));
  const step = { label: "outer steps", hint: "a checkpoint of the run", values: given.steps };
  return { ...given, pictures, truth: await load(given.truth), controls: { step } };
}

export function exploreRun(run, { step }) {
  const number = run.steps.indexOf(step), { height, width } = run.truth[0];
  const shown = run.titles.map((title, i) => ({
    title,
    shade: run.curves.find((curve) => curve.title === title).colour,
    picture: run.pictures[number][i],
    line: `${run.psnr[number][i].toFixed(2)} dB`,
  }));
  return {
    chart: (room) => drawCurves(room, run, number),
    panels: [...shown, { title: "truth", shade: "transparent", picture: run.truth, line: `${width} x ${height} px` }],
    sentence: run.sentences[number],
  };
}

/** The outline of a marker, by the letter that matplotlib has for it. */
const MARKERS = {
  o: (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  s: (r) => `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  D: (r) => `M0 ${-1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  "^": (r) => `M0 ${-1.3 * r}l${1.2 * r} ${2.3 * r}h${-2.4 * r}z`,
};
const point = (marker, x, y, r, look) => `<path d="${MARKERS[marker](r)}" transform="translate(${x} ${y})" ${look}/>`;

/** Round numbers that divide a range into about so many parts. */
export function ticks(low, high, parts) {
  const rough = (high - low) / parts, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(6)));
}

/** The curves as an SVG that fills the width of its room, with a mark at one checkpoint. */
function drawCurves(room, { steps, curves, blind }, number) {
  const width = Math.max(240, room.clientWidth), inner = width - MARGIN.left - MARGIN.right;
  const scores = curves.flatMap((curve) => curve.scores), last = steps[steps.length - 1];
  const low = Math.min(...scores) - 0.5, high = Math.max(...scores) + 0.5, tall = HEIGHT - MARGIN.top - MARGIN.bottom;
  const x = (step) => MARGIN.left + 6 + (step / last) * (inner - 12), y = (psnr) => MARGIN.top + ((high - psnr) / (high - low)) * tall;
  const line = (x1, y1, x2, y2, look) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${look}/>`;
  const word = (at, up, text, more = "") => `<text x="${at}" y="${up}" font-size="${LETTER}" fill="${INK}" ${more}>${text}</text>`;
  const right = width - MARGIN.right, floor = HEIGHT - MARGIN.bottom, mark = x(steps[number]);
  const parts = [
    ...ticks(low, high, 5).map((psnr) =>
      line(MARGIN.left, y(psnr), right, y(psnr), `stroke="${PALE}"`) + word(MARGIN.left - 6, y(psnr) + 4, psnr, 'text-anchor="end"')),
    ...ticks(0, last, width < 480 ? 4 : 7).map((step) => word(x(step), floor + 16, step, 'text-anchor="middle"')),
    line(MARGIN.left, floor, right, floor, `stroke="${INK}"`),
    word(MARGIN.left + inner / 2, HEIGHT - 6, "outer steps", 'text-anchor="middle"'),
    line(MARGIN.left, y(blind.psnr), right, y(blind.psnr), `stroke="${blind.colour}" stroke-width="2" ${DASHES}`),
    line(mark, MARGIN.top, mark, floor, `stroke="${INK}" class="mark"`),
    ...curves.map(({ scores: values, colour, marker }) => {
      const places = values.map((psnr, i) => [x(steps[i]), y(psnr)]);
      const dots = places.map((place, i) => point(marker, ...place, i === number ? 5 : 3, `fill="${colour}" stroke="${i === number ? INK : colour}"`));
      return `<polyline points="${places.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join("")}`;
    }),
  ];
  const described = curves.map((curve) => `${curve.title} ${curve.scores[number].toFixed(1)} dB`).join(", ");
  room.innerHTML = `<svg viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" role="img" ` +
    `aria-label="Held-out PSNR by outer steps, here at ${steps[number]}: ${described}">${parts.join("")}</svg>`;
  const key = (title, colour, marker, dashes = "") =>
    `<span><svg width="26" height="12" aria-hidden="true"><line x2="26" y1="6" y2="6" stroke="${colour}" stroke-width="2" ${dashes}/>` +
    `${marker ? point(marker, 13, 6, 3.5, `fill="${colour}"`) : ""}</svg> ${title}</span>`;
  const keys = [...curves.map(({ title, colour, marker }) => key(title, colour, marker)), key("the blind network", blind.colour, null, DASHES)];
  room.insertAdjacentHTML("beforeend", `<p class="live-key"><b>held-out PSNR (dB)</b> ${keys.join(" ")}</p>`);
}
