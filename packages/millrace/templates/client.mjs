// node client.mjs: calls the example model of models/.
import { Millrace } from '@millrace/client';

const millrace = new Millrace({ baseUrl: process.env.MILLRACE_URL ?? 'http://127.0.0.1:8080' });
const output = await millrace.run('example', { x: [[1, 2]] });
console.log(JSON.stringify(output));
