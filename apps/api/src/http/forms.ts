/** The media type of a form with files. */
import type { IncomingHttpHeaders } from 'node:http';

export const FORM_TYPE = 'multipart/form-data';
const FORM = /^multipart\/form-data\s*(;|$)/i;

export const isForm = ({ 'content-type': type = '' }: IncomingHttpHeaders): boolean => FORM.test(type);
