import uPlot from "uplot";
import type { Point } from "../points";
import { make } from "./parts";
import { figure } from "./words";

/** A line of a chart. */
interface Line {
    /** `undefined`: it is the only one of its chart. */
    label?: string;
    /** Name of a colour in style.css. */
    colour: string;
    /** @default it is solid, and what is below it is filled */
    dash?: number[];
    of: (point: Point) => number | undefined;
}

export interface ChartSpec {
    title: string;
    lines: Line[];
    /** The axis reaches at least so far. */
    least: number;
    /** It changes at once, as a number of servers does. @default false */
    isStepped?: boolean;
    /** Its figures and the labels of its axis. @default {@link figure} */
    show?: (value: number | null | undefined) => string;
}

/** An event as the charts show it: a line, and a band as long as it lasts. */
interface Mark {
    atMs: number;
    endMs: number;
    colour: string;
}

/** Longer without a point, and the line has a gap, in milliseconds. */
const gapMs = 25_000;
const height = 156;

const drawnColour = (name: string): string => {
    // A probe, for `light-dark()` is resolved only where it is used.
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
};

/** A chart with its caption, which has the figures as text. */
export class Chart {
    readonly element = document.createElement("figure");
    private readonly values: HTMLElement[] = [];
    private plot: uPlot | undefined;
    private points: readonly Point[] = [];
    private marks: readonly Mark[] = [];
    private range: [number, number] = [0, 1];

    /** @param onMove Gets the point under the cursor; `undefined`: none is. */
    constructor(
        private readonly spec: ChartSpec,
        private readonly onMove: (point: Point | undefined) => void,
    ) {
        this.element.tabIndex = 0;
        this.element.setAttribute("aria-label", `${spec.title}; the left and right keys walk through time`);
        this.element.append(this.caption());
        this.element.addEventListener("keydown", this.walk);
        new ResizeObserver(() => {
            this.plot?.setSize({ width: this.width(), height });
        }).observe(this.element);
    }

    /** Draws it anew, as at the beginning and when the colours change. */
    draw(): void {
        this.plot?.destroy();
        this.plot = new uPlot(this.options(), this.data(), this.element);
    }

    /** @param range Of time, in milliseconds. */
    update(points: readonly Point[], marks: readonly Mark[], range: [number, number]): void {
        [this.points, this.marks, this.range] = [points, marks, range];
        this.plot?.setData(this.data());
        if (this.plot?.cursor.idx === null || this.plot?.cursor.idx === undefined) this.say(points.at(-1));
    }

    /** Moves the cursor of all charts to a time; `undefined`: away. */
    pointAt(atMs: number | undefined): void {
        const left = atMs === undefined ? -10 : (this.plot?.valToPos(atMs / 1000, "x") ?? -10);
        this.plot?.setCursor({ left, top: 10 });
    }

    private width = (): number => Math.max(200, this.element.clientWidth - 16);

    private caption(): HTMLElement {
        const caption = make("figcaption", "");
        caption.append(make("strong", this.spec.title));
        for (const { label, colour, dash } of this.spec.lines) {
            const value = make("b", "");
            const legend = make("span", "", "legend");
            if (label !== undefined) legend.append(sample(colour, dash), `${label} `);
            legend.append(value);
            this.values.push(value);
            caption.append(legend);
        }
        return caption;
    }

    private say(point: Point | undefined): void {
        const { lines, show = figure } = this.spec;
        lines.forEach(({ of }, i) => {
            const value = this.values[i];
            if (value) value.textContent = show(point && of(point));
        });
    }

    private readonly walk = (event: KeyboardEvent): void => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const index = this.plot?.cursor.idx ?? this.points.length - 1;
        if (event.key === "Escape") this.pointAt(undefined);
        if (step === undefined) return;
        event.preventDefault();
        const [times] = this.data();
        // A screen has fewer pixels than an hour has points.
        const stride = Math.max(1, Math.round(times.length / 150));
        const next = times[Math.min(times.length - 1, Math.max(0, index + step * stride))];
        if (next !== undefined) this.pointAt(1000 * next);
    };

    /** Seconds, and a row of values for each line, with nothing where nothing was seen. */
    private data(): uPlot.AlignedData {
        const rows = this.points.flatMap((point, i): (Point | number)[] => {
            const before = this.points[i - 1];
            const isGap = before !== undefined && point.atMs - before.atMs > gapMs;
            return isGap ? [before.atMs + 1, point] : [point];
        });
        return [
            rows.map((row) => (typeof row === "number" ? row : row.atMs) / 1000),
            ...this.spec.lines.map(({ of }) =>
                rows.map((row) => (typeof row === "number" ? null : (of(row) ?? null))),
            ),
        ];
    }

    private options(): uPlot.Options {
        const grid = { stroke: drawnColour("line"), width: 1 };
        const axis = { stroke: drawnColour("quiet"), grid, ticks: { show: false }, font };
        return {
            ...{ width: this.width(), height, padding: [20, 10, 0, 0], legend: { show: false } },
            cursor: { sync: { key: "pool", setSeries: false }, drag: { x: false, y: false }, y: false },
            scales: {
                x: { range: () => [this.range[0] / 1000, this.range[1] / 1000] },
                y: { range: (_plot, _low, high) => [0, 1.08 * Math.max(high || 0, this.spec.least)] },
            },
            axes: [
                {
                    ...axis,
                    grid: { show: false },
                    size: 26,
                    incrs: timeSteps,
                    space: 60,
                    values: (_plot, at) => at.map(hourAndMinute),
                },
                { ...axis, size: 48, space: 32, values: (_plot, at) => at.map(this.spec.show ?? figure) },
            ],
            series: [{}, ...this.spec.lines.map((line) => seriesOf(line, this.spec))],
            hooks: { drawClear: [this.drawMarks], setCursor: [this.showCursor] },
        };
    }

    private readonly showCursor = ({ cursor: { idx } }: uPlot): void => {
        const at = idx === null || idx === undefined ? undefined : this.data()[0][idx];
        const point = this.points.find(({ atMs }) => atMs / 1000 === at);
        this.say(point ?? this.points.at(-1));
        this.onMove(point);
    };

    /** Behind the lines; their numbers, from 1, above, as in the list. */
    private readonly drawMarks = (plot: uPlot): void => {
        const { ctx, bbox } = plot;
        const { devicePixelRatio: ratio } = window;
        const place = (atMs: number) =>
            Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(atMs / 1000, "x", true)));
        const ground = drawnColour("card");
        ctx.save();
        ctx.font = `700 ${10 * ratio}px system-ui, sans-serif`;
        ctx.textAlign = "center";
        ctx.textBaseline = "middle";
        for (const [i, { atMs, endMs, colour }] of this.marks.entries()) {
            const [from, to] = [place(atMs), place(endMs)];
            ctx.fillStyle = drawnColour(colour);
            ctx.globalAlpha = 0.16;
            ctx.fillRect(from, bbox.top, to - from, bbox.height);
            ctx.globalAlpha = 1;
            ctx.fillRect(from - 0.75 * ratio, bbox.top, 1.5 * ratio, bbox.height);
            ctx.beginPath();
            ctx.arc(from, bbox.top - 8 * ratio, 8 * ratio, 0, 2 * Math.PI);
            ctx.fill();
            ctx.fillStyle = ground;
            ctx.fillText(String(i + 1), from, bbox.top - 7.5 * ratio);
        }
        ctx.restore();
    };
}

const font = "12px system-ui, sans-serif";
/** In seconds. */
const timeSteps = [60, 120, 300, 600, 900, 1800, 3600, 7200];

const hourAndMinute = (at: number): string => new Date(at * 1000).toTimeString().slice(0, 5);

function seriesOf({ colour, dash }: Line, { isStepped }: ChartSpec): uPlot.Series {
    const stroke = drawnColour(colour);
    const fill = stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)");
    return {
        ...{ stroke, width: 2, points: { show: false } },
        ...(dash ? { dash } : { fill }),
        ...(isStepped && uPlot.paths.stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
    };
}

/** What a line looks like: colours alone do not tell them apart. */
function sample(colour: string, dash: number[] | undefined): SVGElement {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 22 8");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", "M0 4H22");
    line.setAttribute("stroke-width", "2.5");
    line.setAttribute("stroke-dasharray", dash?.join(" ") ?? "");
    line.style.stroke = `var(--${colour})`;
    svg.append(line);
    return svg;
}
