import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { problems } from '../../../src/problems.ts'
import type { TestAnswer } from '../../support/api.ts'
import type { ApiDocument, Operation } from './document.ts'

/** Tells what is wrong with an answer, by the document. */
export type Critic = (operation: Operation, answer: TestAnswer) => string[]

/** Headers that stand in every answer that is documented with them. */
const promised = ['X-Request-Id', 'Location', 'Consistency-Token']

export function createCritic(document: ApiDocument): Critic {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(document, 'api')
  const validators = new Map<string, ValidateFunction>()

  function validatorOf(pointer: string): ValidateFunction {
    const known = validators.get(pointer)
    if (known !== undefined) return known
    const validate = ajv.compile({ $ref: `api#${pointer}` })
    validators.set(pointer, validate)
    return validate
  }

  return (operation, answer) => {
    const { status, headers, text } = answer
    const complaints: string[] = []
    if (status >= 500) complaints.push(`it failed with ${status}`)
    const response = operation.responses[status]
    if (response === undefined) return [...complaints, `status ${status} is not documented`]
    complaints.push(...headerComplaints(Object.keys(response.headers ?? {}), headers))
    if (response.content === undefined && text === '') return complaints
    const told = headers.get('content-type')?.split(';')[0] ?? ''
    const type = [told, '*/*'].find((one) => response.content?.[one] !== undefined)
    if (type === undefined) {
      return [...complaints, `type ${told} of status ${status} is not documented`]
    }
    const pointer = [
      'paths',
      operation.path,
      operation.method.toLowerCase(),
      'responses',
      status,
      'content',
      type,
      'schema',
    ]
      .map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`)
      .join('')
    const validate = validatorOf(pointer)
    if (!validate(answer.body ?? text)) {
      complaints.push(`the body does not fit its schema: ${ajv.errorsText(validate.errors)}`)
    }
    if (status >= 400) complaints.push(...problemComplaints(answer))
    return complaints
  }
}

function headerComplaints(documented: readonly string[], headers: Headers): string[] {
  return promised
    .filter((name) => documented.includes(name) && !headers.has(name))
    .map((name) => `the header ${name} is not there`)
}

function problemComplaints({ status, headers, body }: TestAnswer): string[] {
  const complaints: string[] = []
  const known = Object.entries(problems).find(([code]) => code === body?.code)?.[1]
  if (known === undefined) return [`the code ${body?.code} is in no catalogue`]
  if (known.status !== status || body.status !== status)
    complaints.push('the status is another one')
  if (body.title !== known.title) complaints.push('the title is another one')
  if (body.type !== `urn:deltaworks:problem:${body.code}`)
    complaints.push('the type is another one')
  if (typeof body.detail !== 'string' || body.detail === '') complaints.push('there is no detail')
  // A refusal that was kept under a key tells of the request that it was first given to.
  const isFirst = headers.get('idempotency-replayed') === null
  if (isFirst && body.instance !== headers.get('x-request-id'))
    complaints.push('the instance is not the request')
  return complaints
}
