// The explorers of pages 02 and 03, live: sliders, a sentence, pictures. What they compute is in imaging.js.

import { KERNEL, LARGEST_KERNEL, control, draw, load, make } from "./controls.js";
import * as imaging from "./imaging.js";

const CAMERA = {
  ...KERNEL,
  mode: { label: "sampling", options: ["direct", "bicubic"] },
  noise: { label: "noise (white = 1)", hint: "standard deviation", min: 0, max: 0.1, step: 0.005, digits: 3 },
};

const square = (image) => `${image.width} x ${image.height} px`;
const gaussian = (state, size = state.size) => imaging.gaussianKernel(state.lambda1, state.lambda2, state.theta, size);

/** The share of a Gaussian that lies inside its window. */
function share(state) {
  const whole = gaussian(state, 3 * LARGEST_KERNEL), edge = (whole.width - state.size) / 2;
  let sum = 0;
  for (let i = edge; i < edge + state.size; i++) {
    for (let j = edge; j < edge + state.size; j++) sum += whole.data[i * whole.width + j];
  }
  return sum;
}

function exploreKernel(hr, state) {
  const kernel = gaussian(state);
  const blurred = hr.map((channel) => imaging.blur(channel, kernel));
  const lr = imaging.degrade(hr, kernel);
  const [along, across] = [Math.sqrt(state.lambda1), Math.sqrt(state.lambda2)];
  return {
    panels: [
      { title: "original", picture: hr, line: square(hr[0]) },
      { title: "kernel", kernel, ellipses: true, line: "ellipses: 1 and 2 standard deviations" },
      { title: "blurred", picture: blurred, line: square(hr[0]) },
      { title: "low resolution", picture: lr, line: `${square(lr[0])}, every second pixel` },
    ],
    sentence:
      `Standard deviation ${along.toFixed(2)} px along the axis and ${across.toFixed(2)} px across. ` +
      `The ${state.size} x ${state.size} px hold ${(100 * share(state)).toFixed(1)} % of the Gaussian.`,
  };
}

function exploreDegradation(hr, state) {
  const kernel = gaussian(state);
  const lr = imaging.degrade(hr, kernel, state.mode, state.noise, imaging.normals(0));
  const bicubic = lr.map(imaging.upscale), aligned = imaging.enlarge(lr, state.mode);
  const [plain, register] = [bicubic, aligned].map((sr) => imaging.protocolPsnr(sr, hr));
  const gain = register - plain, signed = `${gain < 0 ? "" : "+"}${gain.toFixed(2)}`;
  return {
    panels: [
      { title: "original", picture: hr, line: square(hr[0]) },
      { title: "kernel", kernel, line: `${state.size} x ${state.size} px` },
      { title: "low resolution", picture: lr, line: square(lr[0]) },
      { title: "bicubic", picture: bicubic, line: `${plain.toFixed(2)} dB` },
      { title: "phase-aligned", picture: aligned, line: `${register.toFixed(2)} dB` },
    ],
    sentence:
      state.mode === "bicubic"
        ? "Bicubic sampling keeps the picture's middle in place: both ways to enlarge are the same."
        : `Direct sampling starts at pixel 0. Enlarged in register with that: ${signed} dB.`,
  };
}

const KINDS = {
  kernel: { controls: KERNEL, explore: exploreKernel },
  degradation: { controls: CAMERA, explore: exploreDegradation },
};

/** A kernel on a grid of 21 x 21 px, from black for 0 to white for its largest value; grey where it does not reach. */
function drawKernel(canvas, kernel) {
  const edge = (LARGEST_KERNEL - kernel.width) / 2, top = Math.max(...kernel.data);
  const grid = imaging.plane(LARGEST_KERNEL, LARGEST_KERNEL);
  grid.data.fill(0.87);
  for (let i = 0; i < kernel.height; i++) {
    for (let j = 0; j < kernel.width; j++) {
      grid.data[(i + edge) * grid.width + j + edge] = kernel.data[i * kernel.width + j] / top;
    }
  }
  draw(canvas, [grid, grid, grid]);
}

function outline(state) {
  const angle = (state.theta * 180) / Math.PI, half = LARGEST_KERNEL / 2;
  const ellipse = (deviations, look) =>
    `<ellipse rx="${deviations * Math.sqrt(state.lambda1)}" ry="${deviations * Math.sqrt(state.lambda2)}" ` +
    `transform="rotate(${angle})" fill="none" ${look}/>`;
  const lines = [[1, ""], [2, 'stroke-dasharray="1.2 0.7"']].map(([deviations, dashes]) =>
    ellipse(deviations, 'stroke="#222222" stroke-width="0.42"') + ellipse(deviations, `stroke="#ffd400" stroke-width="0.22" ${dashes}`));
  return `<svg viewBox="${-half} ${-half} ${2 * half} ${2 * half}" aria-hidden="true">${lines.join("")}</svg>`;
}

/** Build an explorer in its place, and take away the stored picture above it. */
async function start(place) {
  const { controls, explore } = KINDS[place.dataset.kind], given = JSON.parse(place.dataset.start);
  const hr = await load(given.picture), state = { ...given };
  const status = make("p", { role: "status", class: "live-status" });
  const panels = make("div", { class: "live-panels" });
  const inputs = {};

  const show = () => {
    const found = explore(hr, state);
    found.panels.forEach((panel, number) => {
      const figure = panels.children[number] ?? panels.appendChild(make("figure", {}, make("div"), make("figcaption")));
      const [frame, caption] = figure.children;
      const canvas = frame.querySelector("canvas") ?? frame.appendChild(make("canvas", { role: "img" }));
      if (panel.kernel) drawKernel(canvas, panel.kernel);
      else draw(canvas, panel.picture);
      if (panel.ellipses) {
        frame.querySelector("svg")?.remove();
        frame.insertAdjacentHTML("beforeend", outline(state));
      }
      canvas.setAttribute("aria-label", `${panel.title}: ${panel.line}`);
      caption.replaceChildren(make("strong", {}, panel.title), make("span", {}, panel.line));
    });
    status.textContent = found.sentence;
  };
  let asked = false;
  const moved = (name) => {
    for (const [key, { input }] of Object.entries(inputs)) state[key] = controls[key].options ? input.value : Number(input.value);
    // The axis that is moved takes the other along, so that lambda1 stays the larger one.
    if (name === "lambda1") state.lambda2 = Math.min(state.lambda1, state.lambda2);
    if (name === "lambda2") state.lambda1 = Math.max(state.lambda1, state.lambda2);
    for (const [key, { input }] of Object.entries(inputs)) {
      input.value = state[key];
      input.dispatchEvent(new Event("shown"));
    }
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; show(); });
  };

  const rows = make("div", { class: "live-controls" });
  for (const [name, description] of Object.entries(controls)) {
    inputs[name] = control(name, description, state[name], moved);
    rows.append(inputs[name].row);
  }
  show();
  place.append(rows, status, panels);
  place.closest(".cell_output")?.querySelectorAll("img").forEach((image) => image.remove());
  place.dataset.ready = "yes";
}

document.querySelectorAll(".live").forEach(start);
