/** For what a data source does not find; throws any other error. The provider's words have the API's: `GET URL: 404 …`. */
export function undefinedIfNone(error: unknown): undefined {
    if (/: 404\b/.test((error as Error).message)) return undefined;
    throw error;
}
