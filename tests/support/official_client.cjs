// The steps of test_official_clients.py with the official JavaScript client. Prints their results.
const { HighLevel } = require("@gohighlevel/api-client");

const [url, piToken, location, company] = process.argv.slice(2);
HighLevel.BASE_URL = url;

async function statusOf(promise) {
  try {
    await promise;
    return 200;
  } catch (error) {
    return error.statusCode;
  }
}

async function main() {
  const { contacts, conversations } = new HighLevel({ privateIntegrationToken: piToken, logLevel: "none" });
  const found = {};
  const person = { locationId: location, email: "ann@x.example", phone: "+13125550100", name: "Ann" };
  const contactId = (await contacts.createContact(person)).contact.id;
  found.got = (await contacts.getContact({ contactId })).contact.email;
  found.upserted = (await contacts.upsertContact({ locationId: location, email: person.email })).new;
  const twin = await contacts.getDuplicateContact({ locationId: location, number: person.phone });
  found.duplicate = twin.contact.id === contactId;

  const base = { contactId, direction: "inbound", date: "2024-05-01T12:00:00Z" };
  const sms = await conversations.addAnInboundMessage({ ...base, type: "SMS", message: "hi" });
  const mail = await conversations.addAnInboundMessage({ ...base, type: "Email", html: "<p>x</p>", subject: "S" });
  const { conversationId } = sms;
  const listed = await conversations.searchConversation({ locationId: location, contactId });
  found.searched = listed.conversations.map((one) => one.id === conversationId);
  found.conversation = (await conversations.getConversation({ conversationId })).contactId === contactId;
  found.messages = (await conversations.getMessages({ conversationId })).messages.length;
  found.message = (await conversations.getMessage({ id: sms.messageId })).body;
  found.mail = (await conversations.getEmailById({ id: mail.emailMessageId })).subject;
  found.exported = (await conversations.exportMessagesByLocation({ locationId: location, limit: 10 })).total;

  const place = { conversationId, contactId, locationId: location };
  const named = await conversations.uploadFileAttachments({ ...place, attachmentUrls: ["https://x.example/a.png"] });
  found.named = Object.keys(named.uploadedFiles);
  const form = new FormData();
  Object.entries(place).forEach(([name, value]) => form.append(name, value));
  form.append("fileAttachment", new Blob(["picture"]), 'a "b".png');
  const headers = { "Content-Type": "multipart/form-data" };
  found.uploaded = Object.keys((await conversations.uploadFileAttachments(form, { headers })).uploadedFiles);

  const elsewhere = { locationId: "elsewhere" };
  found.statuses = [
    await statusOf(conversations.addAnInboundMessage({ ...base, type: "SMS", attachments: [] })),
    await statusOf(conversations.addAnInboundMessage({ ...base, type: "SMS", contactId: "nobody" })),
    await statusOf(conversations.exportMessagesByLocation(elsewhere)),
    await statusOf(new HighLevel({ privateIntegrationToken: "wrong", logLevel: "none" }).conversations.exportMessagesByLocation({ locationId: location })),
    await statusOf(conversations.addAnInboundMessage({ ...base, type: "SMS", altId: "throttle" })),
  ];

  const app = { clientId: "app", clientSecret: "secret", logLevel: "none" };
  const agency = new HighLevel(app);
  const sessions = agency.getSessionStorage();
  const pair = await agency.oauth.refreshToken("r-company", "app", "secret", "refresh_token", "Company");
  await sessions.setSession(company, pair);
  const own = await agency.oauth.getLocationAccessToken({ companyId: company, locationId: location });
  await sessions.setSession(location, { ...own, access_token: "expired", refresh_token: "r-location", userType: "Location" });
  found.renewed = (await agency.conversations.exportMessagesByLocation({ locationId: location, limit: 10 })).total;
  console.log(JSON.stringify(found));
}

main();
