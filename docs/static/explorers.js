// The explorers of pages 02 and 03, live: sliders, a sentence, pictures. What they compute is in imaging.js.

import * as imaging from "./imaging.js";

const LARGEST_KERNEL = 21;
const KERNEL = {
  lambda1: { label: "lambda1 (px²)", hint: "variance along the axis", min: 0.2, max: 8, step: 0.1, digits: 1 },
  lambda2: { label: "lambda2 (px²)", hint: "variance across it", min: 0.2, max: 8, step: 0.1, digits: 1 },
  theta: { label: "theta (rad)", hint: "angle of the long axis, from x, y down", min: 0, max: 3.15, step: 0.05, digits: 2 },
  size: { label: "kernel side (px)", hint: "width and height", min: 3, max: LARGEST_KERNEL, step: 2, digits: 0 },
};
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

/** An element with attributes, and children or a text. */
function make(name, attributes = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

/** A labelled slider or choice; `moved` is told its name whenever a reader changes it. */
function control(name, description, value, moved) {
  const id = `live-${name}-${Math.random().toString(36).slice(2)}`;
  const label = make("label", { for: id }, description.label);
  let input, shown = [];
  if (description.options) {
    input = make("select", { id }, ...description.options.map((option) => make("option", {}, option)));
    input.value = value;
  } else {
    const { min, max, step, hint, digits } = description;
    input = make("input", { id, type: "range", min, max, step, title: hint });
    input.value = value;
    const output = make("output", { for: id });
    const show = () => { output.textContent = Number(input.value).toFixed(digits); };
    input.addEventListener("shown", show);
    show();
    shown = [output];
  }
  input.addEventListener("input", () => moved(name));
  return { input, row: make("div", { class: "live-control" }, label, input, ...shown) };
}

function draw(canvas, channels) {
  const { height, width } = channels[0], [red, green, blue] = channels;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  const byte = (value) => Math.round(Math.min(1, Math.max(0, value)) * 255);
  for (let i = 0; i < height * width; i++) {
    pixels.data.set([byte(red.data[i]), byte(green.data[i]), byte(blue.data[i]), 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

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

/** The planes of a picture that the page has. */
async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const channel = (k) => Float64Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + k] / 255);
  return [0, 1, 2].map((k) => imaging.plane(canvas.height, canvas.width, channel(k)));
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
