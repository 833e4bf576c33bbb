import type { S3Client } from '@aws-sdk/client-s3'
import { Problem } from '../problems.ts'

/** How S3 is reached. Credentials are found by the SDK in its usual places, and stay there. */
export interface S3Settings {
  /** URL of an endpoint other than Amazon's. */
  readonly s3Endpoint: string | undefined
  /** Undefined for what the SDK finds. */
  readonly s3Region: string | undefined
  readonly s3ForcePathStyle: boolean
  readonly s3SocketsMax: number
  readonly s3RequestMsMax: number
  readonly s3AttemptsMax: number
}

export type Sdk = typeof import('@aws-sdk/client-s3')

/** What a request is sent with. */
export interface S3Call {
  client: S3Client
  sdk: Sdk
  options: { abortSignal: AbortSignal }
}

/** The way to S3, shared by all folders of a server. */
export interface S3Connection {
  /**
   * Sends a request, again after what passes, in bounded time; of an answer with a stream up to its beginning. `what`
   * says in an error what did not work. Throws `S3Error`.
   */
  ask: <Answer>(what: string, send: (call: S3Call) => Promise<Answer>) => Promise<Answer>
  /** Buckets that were seen to refuse what is there already. */
  readonly proven: Set<string>
}

/**
 * What S3 refused or did not answer. Tells nothing that the other side said but the name of its error: what it says
 * in words may repeat what was sent, credentials among it.
 */
export class S3Error extends Problem {
  /** The name that S3 or the SDK has for it, such as `PreconditionFailed`. */
  readonly reason: string
  /** Status of the answer, if there was one. */
  readonly answered: number | undefined

  constructor(what: string, error: SdkError) {
    const answered = error.$metadata?.httpStatusCode
    const reason = reasonOf(error, answered)
    const status = answered === undefined ? '' : ` (HTTP ${answered})`
    const detail = `${what} did not succeed: ${words.get(reason) ?? reason}${status}.`
    if (isFinal(answered)) super('location-not-allowed', detail)
    else super('storage-unavailable', detail, { headers: { 'retry-after': '5' } })
    this.reason = reason
    this.answered = answered
  }
}

/** What is read of an error of the SDK. */
export interface SdkError {
  name?: string | undefined
  code?: unknown
  message?: string
  $metadata?: { httpStatusCode?: number }
}

const words: ReadonlyMap<string, string> = new Map([
  ['AbortError', 'there was no whole answer in time'],
  ['TimeoutError', 'there was no answer in time'],
  ['ETIMEDOUT', 'there was no answer in time'],
  ['CredentialsProviderError', 'no credentials were found where the SDK looks for them'],
  ['NoSuchBucket', 'there is no such bucket'],
  ['AccessDenied', 'access is denied'],
  ['WrongLength', 'the answer has not as many bytes as it said'],
  ['WrongChecksum', 'the answer is damaged by its checksum'],
  ['NoRegion', 'no region is set; set S3_REGION'],
])

function reasonOf({ name, code, message }: SdkError, answered: number | undefined): string {
  if (message === 'Region is missing') return 'NoRegion'
  const reason = answered === undefined ? (code ?? name) : name
  return /^[\w.-]{1,64}$/.exec(String(reason))?.[0] ?? 'an error without a name'
}

/** Whether the same request would get the same answer again. */
function isFinal(answered = 0): boolean {
  return answered >= 400 && answered < 500 && ![408, 409, 425, 429].includes(answered)
}

/** Opens a way to S3. Nothing is loaded or connected before the first request. */
export function connectS3(settings: S3Settings): S3Connection {
  let loaded: Promise<Omit<S3Call, 'options'>> | undefined
  // All attempts and the waits between them.
  const msMax = settings.s3RequestMsMax * (settings.s3AttemptsMax + 1)
  return {
    proven: new Set(),
    async ask(what, send) {
      const abort = new AbortController()
      const timer = setTimeout(() => abort.abort(), msMax)
      try {
        loaded ??= load(settings)
        return await send({ ...(await loaded), options: { abortSignal: abort.signal } })
      } catch (error) {
        throw new S3Error(what, error as SdkError)
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

async function load(settings: S3Settings) {
  const { s3Endpoint: endpoint, s3Region: region, s3RequestMsMax: requestMsMax } = settings
  const sdk = await import('@aws-sdk/client-s3')
  const agent = { keepAlive: true, maxSockets: settings.s3SocketsMax }
  const client = new sdk.S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    forcePathStyle: settings.s3ForcePathStyle,
    followRegionRedirects: endpoint === undefined,
    maxAttempts: settings.s3AttemptsMax,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: requestMsMax,
      requestTimeout: requestMsMax,
      throwOnRequestTimeout: true,
      socketTimeout: requestMsMax,
      httpAgent: agent,
      httpsAgent: agent,
    },
  })
  return { client, sdk }
}
