import { installS3Server } from './tools.ts'

// Installs the S3 server that the tests use when it is there. Go builds it, which takes some minutes the first time.

await installS3Server()
