// Ways to let the page draw and answer while long work goes on.
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();

// Back in the next task: a timer would wait 4 ms.
export const turn = () => new Promise((resolve) => {
  waiting.push(resolve);
  channel.port2.postMessage(0);
});

export const rest = () => new Promise((resolve) => setTimeout(resolve, 20));
