import { execFile, execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why no certificates can be made here, in words for a skipped test; false where they can. */
export function lacksOpenssl(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'skipped: there is no program openssl, which makes the certificates'
  }
}

/** Paths of a certificate and its key, both PEM. */
export interface Certificate {
  certificate: string
  key: string
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Makes an authority that signs certificates. */
export async function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const made = pathsOf(folder, name)
  const out = ['-keyout', made.key, '-out', made.certificate]
  await run('openssl', ['req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-days', '2', ...out])
  return made
}

/** Makes a certificate for a host or a user. */
export async function makeCertificate(
  folder: string,
  name: string,
  { authority, subject }: { authority: Certificate; subject: string },
): Promise<Certificate> {
  const made = pathsOf(folder, name)
  const request = join(folder, `${name}.csr`)
  const names = join(folder, `${name}.names`)
  await writeFile(names, `subjectAltName=DNS:${subject}\n`)
  const out = ['-keyout', made.key, '-out', request]
  await run('openssl', ['req', ...newKey, '-subj', `/CN=${subject}`, ...out])
  const signer = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial']
  const signed = ['-days', '2', '-extfile', names, '-out', made.certificate]
  await run('openssl', ['x509', '-req', '-in', request, ...signer, ...signed])
  return made
}

function pathsOf(folder: string, name: string): Certificate {
  return { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
}
