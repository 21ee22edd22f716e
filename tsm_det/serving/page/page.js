// The page: Start opens a source, and the loop asks for one frame after the other, so that it never falls behind.

import { Camera, UploadedVideo } from './sources.js';
import { draw, forgetTimes, say, show, showFacts, showState } from './view.js';
import { Visit } from './visit.js';

const element = (id) => document.getElementById(id);
const threshold = element('threshold');

let visit = null;
let source = null;
let turn = null; // the Start that is under way; Stop takes it away
let ending = Promise.resolve(); // of the one before: its last answer is waited for before anything else is asked
let last = null; // what was drawn last

element('start').onclick = () => (turn ? stop() : start());
element('reset').onclick = () => visit.tell({ do: 'reset' });
element('file').onchange = stop;
for (const choice of document.querySelectorAll('[name=source]')) {
  choice.onchange = () => {
    stop();
    element('file').hidden = !isFileChosen();
  };
}
threshold.oninput = () => {
  show('threshold-shown', Number(threshold.value).toFixed(2));
  if (last) redraw();
};

function isFileChosen() {
  return document.querySelector('[name=source]:checked').value === 'file';
}

function stop() {
  turn = null;
  showState('stopped');
  show('start', 'Start');
  element('reset').disabled = true;
}

function start() {
  const mine = {};
  const isWanted = () => turn === mine;
  turn = mine;
  say();
  show('start', 'Stop');
  showState('waiting');
  ending = ending.then(() => run(isWanted)).catch((error) => {
    if (isWanted()) say(error.message, true);
  }).then(() => {
    if (isWanted()) stop();
  });
}

async function run(isWanted) {
  if (!isWanted()) return;
  await openVisit();
  source = await openSource();
  try {
    await look(isWanted);
  } finally {
    source.close();
  }
}

async function openVisit() {
  if (visit?.isOpen) return;
  const isFirst = visit === null;
  visit = await Visit.open();
  if (isFirst) {
    threshold.value = visit.settings.score_thr;
    threshold.oninput();
  }
}

// A file that is on the server already goes on where it was stopped.
async function openSource() {
  if (!isFileChosen()) return Camera.open(visit);
  const [file] = element('file').files;
  if (!file) throw new Error('Choose a video file first.');
  if (source?.file === file && source.visit === visit) return source;
  say(`Sending ${file.name} to the server …`);
  const video = await UploadedVideo.open(visit, file);
  say();
  return video;
}

async function look(isWanted) {
  forgetTimes();
  while (isWanted()) {
    const frame = await source.next();
    if (!frame) {
      say('The video has ended; Start plays it again.');
      return;
    }
    const sent = performance.now();
    const answer = await visit.ask(frame.message);
    const roundTripMs = performance.now() - sent;
    last = { picture: frame.picture ?? await createImageBitmap(answer.picture), answer };
    redraw();
    showFacts(answer, roundTripMs, source.frames);
    if (isWanted()) {
      showState('running');
      element('reset').disabled = false;
    }
  }
}

function redraw() {
  draw(last.picture, last.answer, Number(threshold.value), visit.settings.colours);
}
