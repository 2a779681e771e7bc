"""Results as a table, for a terminal or in Markdown."""

import statistics


def median(results, key):
    values = [result[key] for result in results if key in result]
    return statistics.median(values) if values else None


def ratios(results, ours, key):
    """The peer's over convnet's, of each round, in order."""
    return sorted(theirs[key] / own[key] for theirs, own in zip(results, ours))


def cells(tool, results, ours):
    """A row: the tool, seconds, their range, ratio, its range, whole seconds, their ratio, memory, accuracy."""
    seconds = sorted(result["seconds"] for result in results)
    ratio = ratios(results, ours, "seconds")
    accuracy = median(results, "accuracy")
    if len(results) < len(ours):
        tool += ", 1 round"
    return [tool, figure(statistics.median(seconds)), f"{figure(seconds[0])} to {figure(seconds[-1])}",
            f"{statistics.median(ratio):.2f}", f"{ratio[0]:.2f} to {ratio[-1]:.2f}", figure(median(results, "whole")),
            f"{statistics.median(ratios(results, ours, 'whole')):.2f}", f"{median(results, 'memory'):,.0f}",
            "" if accuracy is None else f"{accuracy:.1%}"]


def figure(seconds):
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}"


HEAD = ["", "seconds", "range", "ratio", "range", "whole", "ratio", "MiB", "accuracy"]


def rows(results, reasons):
    """The table's rows; a peer that did nothing has its reason in the second cell."""
    ours = results["convnet"]
    done = [cells(tool, rounds, ours) for tool, rounds in results.items()]
    return done + [[tool, f"not run: {reason}", *[""] * (len(HEAD) - 2)] for tool, reason in reasons.items()]


def text(title, results, reasons):
    lines = [f"\n{title}", f"{'':18} {'seconds':>8} {'range':>16} {'ratio':>6} {'range':>16} {'whole':>8} {'ratio':>6} {'MiB':>7} accuracy"]
    for tool, seconds, *rest in rows(results, reasons):
        if not rest[0]:
            lines.append(f"{tool:18} {seconds}")
            continue
        span, ratio, ratio_span, whole, whole_ratio, memory, accuracy = rest
        lines.append(f"{tool:18} {seconds:>8} {span:>16} {ratio:>6} {ratio_span:>16} {whole:>8} {whole_ratio:>6} {memory:>7} {accuracy:>8}")
    return "\n".join(lines)


def markdown(title, results, reasons):
    """A peer that is faster than convnet has its ratio in bold."""
    lines = [f"\n{title}\n", f"| {' | '.join(HEAD)} |", "| --- |" + " --- |" * (len(HEAD) - 1)]
    for row in rows(results, reasons):
        for place in (3, 6):
            if row[place] and not row[0].startswith("convnet") and float(row[place]) < 1:
                row[place] = f"**{row[place]}**"
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)
