// A visit to the server: one WebSocket, on which one thing is asked after the other.

const REASONS = {
  1006: 'The server is gone: see that tools/serve.py runs, then press Start.',
  1009: 'The picture has more bytes than the server takes: choose a camera of a lower resolution.',
  1012: 'The server was stopped: start tools/serve.py again, then press Start.',
};

export class Visit {
  #socket;
  #hello;
  #question = null; // who waits for an answer
  #answer = null; // one whose picture is still to come
  #farewell = null; // why the connection is closed

  // Connects; `settings` is then what the server says of itself.
  static async open() {
    const visit = new Visit();
    visit.settings = await visit.#hello;
    return visit;
  }

  constructor() {
    this.#socket = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}/stream`);
    this.#socket.onmessage = (event) => this.#take(event.data);
    this.#socket.onclose = (event) => this.#close(event);
    this.#hello = this.#wait();
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  // Tells the server something that it does not answer.
  tell(message) {
    this.#socket.send(JSON.stringify(message));
  }

  // Asks what is in a frame: a Blob, or the name of one that the server has. Gives the answer, with its picture.
  ask(message) {
    if (message instanceof Blob) this.#socket.send(message);
    else this.tell(message);
    return this.#wait();
  }

  // Sends a video file and gives what the server says of it.
  async upload(file) {
    const { key, upload_bytes: most, too_large: sentence } = this.settings;
    if (file.size > most) throw new Error(sentence);
    const response = await fetch('upload', { method: 'POST', body: file, headers: { 'X-Visit': key } });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }

  #wait() {
    return new Promise((resolve, reject) => {
      this.#question = { resolve, reject };
      if (this.#farewell) reject(new Error(this.#farewell));
    });
  }

  #take(data) {
    const answer = typeof data === 'string' ? JSON.parse(data) : { ...this.#answer, picture: data };
    if (answer.has_picture && !answer.picture) this.#answer = answer;
    else if (answer.type === 'error') this.#question.reject(new Error(answer.message));
    else this.#question.resolve(answer);
  }

  #close({ code, reason }) {
    this.#farewell = reason || REASONS[code] || `The connection was closed (${code}): press Start.`;
    this.#question.reject(new Error(this.#farewell));
  }
}
