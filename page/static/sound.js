// A worker of its own for the sound's socket: it goes on when the page stalls, and comes back after a
// lost connection.

const AGAIN_MS = 500;

onmessage = ({ data: { url, port } }) => connect(url, port);

function connect(url, port) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => port.postMessage(data, [data]);
  socket.onclose = () => {
    port.postMessage(null);
    setTimeout(() => connect(url, port), AGAIN_MS);
  };
}
