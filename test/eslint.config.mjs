import path from "node:path";
import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config({ ignores: ["**/node_modules/", ".sandbox/"] }, js.configs.recommended, {
    files: ["**/*.ts", "**/*.mts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: {
        parserOptions: { project: path.join(import.meta.dirname, "tsconfig.lint.json") },
    },
    rules: {
        // An Output in a template literal prints "Calling [toString] on an [Output<T>] is not supported".
        // https://www.pulumi.com/docs/iac/concepts/inputs-outputs/#outputs-and-strings
        "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
        "@typescript-eslint/consistent-type-definitions": "off",
    },
});
