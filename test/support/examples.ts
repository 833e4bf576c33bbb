/** A parameter of an operation in the OpenAPI document. */
export interface ExampleParameter {
  name: string
  in: string
  required?: boolean
  example?: unknown
}

/** The address of an operation, every parameter that it must have filled with its example. */
export function exampleAddress(path: string, parameters: readonly ExampleParameter[] = []): string {
  const required = parameters.filter((one) => one.required)
  const filled = required.reduce(
    (address, { name, example }) => address.replace(`{${name}}`, String(example)),
    path,
  )
  const query = required.filter((one) => one.in === 'query')
  const search = query.map(({ name, example }) => `${name}=${example}`).join('&')
  return search === '' ? filled : `${filled}?${search}`
}
