// Where frames come from: next() gives what to ask the server, and the picture where the page has it; null at the end.

const LONGEST_SIDE = 1280; // px; a picture of it stays well below the bytes that the server takes

const REFUSALS = {
  NotAllowedError: 'The camera was refused: allow it for this page in the browser, then press Start.',
  NotFoundError: 'There is no camera on this device: plug one in, or choose a video file.',
  NotReadableError: 'The camera is in use by another program: close that, then press Start.',
};

export class Camera {
  #video = document.createElement('video');
  #canvas = document.createElement('canvas');

  static async open(visit) {
    if (!navigator.mediaDevices) {
      throw new Error('Browsers give a camera only to pages on localhost or behind https: open this page that way.');
    }
    const camera = new Camera();
    try {
      camera.#video.srcObject = await navigator.mediaDevices.getUserMedia(
        { video: { width: { ideal: LONGEST_SIDE }, facingMode: 'environment' } });
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? `The camera cannot be opened (${error.message}).`);
    }
    camera.#video.muted = true;
    camera.#video.playsInline = true;
    await camera.#video.play();
    visit.tell({ do: 'camera' });
    return camera;
  }

  async next() {
    await this.#newFrame();
    const { videoWidth: width, videoHeight: height } = this.#video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#canvas.getContext('2d').drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    const message = await new Promise((resolve) => { this.#canvas.toBlob(resolve, 'image/jpeg', 0.9); });
    return { message, picture: this.#canvas };
  }

  close() {
    for (const track of this.#video.srcObject.getTracks()) track.stop();
  }

  // The camera's next frame: those that came while the server was busy are left out, and none is sent twice.
  #newFrame() {
    const [track] = this.#video.srcObject.getVideoTracks();
    return new Promise((resolve, reject) => {
      if (track.readyState === 'ended') reject(new Error('The camera is gone: plug it in again, then press Start.'));
      track.onended = () => reject(new Error('The camera is gone: plug it in again, then press Start.'));
      this.#video.requestVideoFrameCallback(resolve);
    });
  }
}

export class UploadedVideo {
  #frameId = 0;
  #due = 0;

  static async open(visit, file) {
    const video = new UploadedVideo();
    Object.assign(video, { visit, file, ...await visit.upload(file) });
    return video;
  }

  // Every frame is looked at, and none earlier than a player would show it.
  async next() {
    if (this.#frameId >= this.frames) {
      this.#frameId = 0;
      return null;
    }
    const early = this.#due - performance.now();
    if (early > 0) await new Promise((resolve) => { setTimeout(resolve, early); });
    this.#due = Math.max(performance.now(), this.#due) + 1000 / this.fps;
    return { message: { do: 'frame', frame_id: this.#frameId++ } };
  }

  close() {} // it stays on the server, to go on from
}
