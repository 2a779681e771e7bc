// Asks every two seconds whether the run has gone on, and exchanges the content where it has.
const main = document.getElementById("main");
let tag = "";
async function refresh() {
  try {
    const answer = await fetch("content", { headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag") || "";
      const open = new Set([...main.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
      main.innerHTML = await answer.text();
      for (const summary of main.querySelectorAll("summary")) {
        summary.parentElement.open = open.has(summary.textContent);
      }
      if (answer.headers.get("x-run-done") === "1") {
        return;
      }
    }
  } catch (error) {
    // the program has ended: what is there stays
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
