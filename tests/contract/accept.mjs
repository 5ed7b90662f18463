// Reads an AsyncAPI document and prints what the parser has to say about it; ends with 1 where there is an error.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const { Parser } = createRequire(`${process.env.NODE_PATH}/`)('@asyncapi/parser')
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'))
const errors = diagnostics.filter(({ severity }) => severity === 0)
for (const { code, path, message } of errors) console.error(`${path.join('/')}: ${message} (${code})`)
if (document) console.log(`${document.version()} ${document.operations().length}`)
process.exit(document && errors.length === 0 ? 0 : 1)
