/** How something on the load balancer is: `make status` and `make drift` say it in the same words. */
export interface Condition {
    /** Whole lines. */
    said: string[];
    /** With what each of the problems begins, such as `the certificate `; empty: they are whole sentences. */
    subject: string;
    problems: string[];
    /** What to do about them, in Markdown. */
    fix: string;
}
