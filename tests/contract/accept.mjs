// Reads AsyncAPI documents and prints what the parser has to say about each; ends with 1 where there is an error.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const { Parser } = createRequire(`${process.env.NODE_PATH}/`)('@asyncapi/parser')
let isSound = true
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'))
  const errors = diagnostics.filter(({ severity }) => severity === 0)
  for (const { code, path, message } of errors) console.error(`${path.join('/')}: ${message} (${code})`)
  if (document) console.log(`${document.version()} ${document.operations().length}`)
  isSound &&= document && errors.length === 0
}
process.exit(isSound ? 0 : 1)
