// What the page shows of an answer.

const FRESH_STARTS = {
  new: 'the first frame of a stream',
  seek: 'the frame number did not grow',
  gap: 'too many frames are missing in between',
  size: 'the picture has another size',
  evicted: 'other streams needed the room',
  nonfinite: 'the memory held NaN or infinity',
  manual: 'asked for by Reset',
};
const MOST_LINES = 100;
const MOST_TIMES = 30;
const LEAST_SIDE = 960; // px of the canvas: the letters in a small frame are not to be coarse

const element = (id) => document.getElementById(id);
const canvas = element('canvas');
const pen = canvas.getContext('2d');

let times = []; // of the last answers
let remembered = 0;

export function show(id, text) {
  element(id).textContent = text;
}

// Shows a sentence, or with nothing takes the last one away.
export function say(sentence = '', isError = false) {
  const message = element('message');
  message.textContent = sentence;
  message.hidden = !sentence;
  message.classList.toggle('error', isError);
}

export function showState(name) {
  show('state', name);
  element('state').className = name;
}

// Rates are of frames without a pause in between.
export function forgetTimes() {
  times = [];
}

export function showFacts(answer, roundTripMs, frames) {
  times = [...times, performance.now()].slice(-MOST_TIMES);
  const seconds = (times.at(-1) - times[0]) / 1000;
  remembered = answer.reset ? 0 : remembered + 1;
  show('latency', answer.latency_ms.toFixed(1));
  show('round-trip', roundTripMs.toFixed(1));
  show('fps', times.length > 1 ? ((times.length - 1) / seconds).toFixed(1) : '–');
  show('frame', frames ? `${answer.frame_id} / ${frames - 1}` : answer.frame_id);
  show('remembered', remembered);
  if (answer.reset) logFreshStart(answer);
}

function logFreshStart({ frame_id: frameId, reset }) {
  const line = document.createElement('li');
  line.textContent = `Frame ${frameId} – ${reset}: ${FRESH_STARTS[reset] ?? 'see the documentation'}`;
  element('log').prepend(line);
  while (element('log').childElementCount > MOST_LINES) element('log').lastElementChild.remove();
}

// Draws a picture and what was found in it; the surest is drawn last and stays on top.
export function draw(picture, { size: [width, height], detections }, threshold, colours) {
  const scale = Math.max(1, LEAST_SIDE / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const found = detections.filter(({ score }) => score >= threshold);
  for (const detection of found.reverse()) drawDetection(detection, scale, colours[detection.label]);
  element('hint').hidden = true;
  show('objects', found.length);
}

function drawDetection({ bbox, score, class: name }, scale, colour) {
  const [left, top, right, bottom] = bbox.map((side) => side * scale);
  // Lines and letters have their size on the screen, however the page scales the canvas.
  const unit = Math.max(canvas.width / canvas.clientWidth, canvas.height / canvas.clientHeight);
  const text = `${name} ${score.toFixed(2)}`;
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  pen.lineWidth = 2 * unit;
  pen.strokeStyle = colour;
  pen.strokeRect(left, top, right - left, bottom - top);
  const [width, height] = [pen.measureText(text).width + 8 * unit, 18 * unit];
  const x = Math.max(0, Math.min(left, canvas.width - width));
  const y = Math.max(0, Math.min(top - height, canvas.height - height));
  pen.fillStyle = colour;
  pen.fillRect(x, y, width, height);
  const [red, green, blue] = colour.match(/\d+/g);
  pen.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? '#000' : '#fff';
  pen.fillText(text, x + 4 * unit, y + 13.5 * unit);
}
