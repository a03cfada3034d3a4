import { checkCloudConfig, type CloudConfigFindings } from "./cloud-config";
import { userDataFiles } from "./files";

/**
 * What cloud-init or the API would not take, each with the file's name.
 *
 * @param text Nothing is said of one that could not be read.
 * @param render Makes of the text what is sent, and throws where that can't be.
 */
export function checkUserData(
    name: string,
    text: unknown,
    render: (text: string) => string,
): CloudConfigFindings {
    if (typeof text !== "string") return { problems: [], warnings: [] };
    const { problems, warnings } = checkCloudConfig(text);
    try {
        if (problems.length === 0) render(text);
    } catch (error) {
        problems.push((error as Error).message);
    }
    const named = (line: string) => `userdata/${userDataFiles(name).join()}: ${line}`;
    return { problems: problems.map(named), warnings: warnings.map(named) };
}
