// Formal only: whether a stream cell gives the beats of every image as it should: those that came in, at other places or
// several times, and zeros; none lost, invented or changed, data stable while a beat waits, and no beat waits for ever.
//
//   W                   bits of a beat
//   IN_BEATS, OUT_BEATS beats of an image in and out
//   MAP                 where beat i of an image comes from: bits 8*i and up are the place in the image that comes in, 255 a zero
//   WHOLE               1: nothing comes out before the whole image is in
//   PATIENCE            cycles within which a beat comes out whose beat is in, and within which a cell that gives nothing takes one
//   AHEAD               whole images that may be in and not all out, at the most
//
// One beat that goes out is followed, of one image: which ones is the solver's choice (pick_i, place_i).

`default_nettype none

module map_check #(
    parameter int W         = 2,
    parameter int IN_BEATS  = 2,
    parameter int OUT_BEATS = 2,
    parameter logic [8*OUT_BEATS-1:0] MAP = 0,
    parameter int WHOLE     = 0,
    parameter int PATIENCE  = 2,
    parameter int AHEAD     = 2
) (
    input wire         clk_i,
    input wire         rst_ni,
    input wire         pick_i,
    input wire [7:0]   place_i,  // constant
    input wire [W-1:0] s_tdata,
    input wire         s_tvalid,
    input wire         s_tready,
    input wire [W-1:0] m_tdata,
    input wire         m_tvalid,
    input wire         m_tready
);

    localparam int IN_W    = $clog2(IN_BEATS + 1);
    localparam int OUT_W   = $clog2(OUT_BEATS + 1);
    localparam int IMAGE_W = $clog2(AHEAD + 3);
    localparam int WAIT_W  = $clog2(PATIENCE + 2);

    logic [IN_W-1:0]    in_reg;      // beats of the image that comes in
    logic [OUT_W-1:0]   out_reg;     // beats of the image that goes out
    logic [IMAGE_W-1:0] images_reg;  // whole images that are in, and not all out
    logic [IMAGE_W-1:0] ahead_reg;   // images that go out before the followed one
    logic [7:0]         place_reg;
    logic [W-1:0]       value_reg;
    logic [WAIT_W-1:0]  silent_reg, closed_reg;
    logic               picked_reg, gone_reg, there_reg, past_reg, waiting_reg, offering_reg;
    logic [W-1:0]       last_data_reg, last_offer_reg;

    initial past_reg = 1'b0;

    wire in       = s_tvalid && s_tready;
    wire out      = m_tvalid && m_tready;
    wire last_in  = in && in_reg == IN_W'(IN_BEATS - 1);
    wire last_out = out && out_reg == OUT_W'(OUT_BEATS - 1);

    // Whether the beat that the next one out comes from is in; of a zero, whether the whole image is.
    wire [7:0] from   = MAP[8*out_reg+:8];
    wire [7:0] given  = (images_reg != '0) ? 8'(IN_BEATS) : 8'(in_reg);
    wire       needed = (WHOLE != 0) ? images_reg != '0 : from == 8'd255 ? images_reg != '0 : from < given;

    // The followed beat: its image is picked when its first beat comes in.
    wire pick   = in && in_reg == '0 && pick_i && !picked_reg;
    wire follow = picked_reg && !gone_reg;
    wire here   = follow && ahead_reg == '0 && 8'(out_reg) == place_reg;
    wire [7:0] source = MAP[8*place_reg+:8];
    wire [7:0] picked_source = MAP[8*place_i+:8];

    always_ff @(posedge clk_i) begin
        past_reg       <= 1'b1;
        last_data_reg  <= m_tdata;
        last_offer_reg <= s_tdata;
        offering_reg   <= rst_ni && s_tvalid && !s_tready;
        if (!rst_ni) begin
            in_reg      <= '0;
            out_reg     <= '0;
            images_reg  <= '0;
            picked_reg  <= 1'b0;
            gone_reg    <= 1'b0;
            there_reg   <= 1'b0;
            waiting_reg <= 1'b0;
            silent_reg  <= '0;
            closed_reg  <= '0;
        end else begin
            if (in) in_reg <= last_in ? '0 : in_reg + 1'b1;
            if (out) out_reg <= last_out ? '0 : out_reg + 1'b1;
            images_reg <= images_reg + IMAGE_W'(last_in) - IMAGE_W'(last_out);
            picked_reg <= picked_reg || pick;
            if (pick) begin
                ahead_reg <= images_reg - IMAGE_W'(last_out);
                place_reg <= place_i;
            end else if (last_out && follow) begin
                ahead_reg <= ahead_reg - 1'b1;
            end
            if (pick ? picked_source == 8'd0 : picked_reg && !there_reg && in && 8'(in_reg) == source) begin
                value_reg <= s_tdata;
                there_reg <= 1'b1;
            end
            gone_reg    <= gone_reg || (out && here);
            waiting_reg <= m_tvalid && !m_tready;
            silent_reg  <= (m_tvalid || !needed) ? '0 : silent_reg + 1'b1;
            closed_reg  <= (m_tvalid || !s_tvalid || s_tready) ? '0 : closed_reg + 1'b1;
        end
    end

    always @(posedge clk_i) begin
        assume (past_reg || !rst_ni);
        assume (place_i < 8'(OUT_BEATS));
        if (past_reg && offering_reg) assume (s_tvalid && s_tdata == last_offer_reg);
        if (past_reg && rst_ni) begin
            invents_nothing: assert (!m_tvalid || needed || (WHOLE == 0 && from == 8'd255));
            gives_what_came: assert (!m_tvalid || !here || source == 8'd255 || (there_reg && m_tdata == value_reg));
            gives_zeros: assert (!m_tvalid || from != 8'd255 || m_tdata == '0);
            holds_no_more: assert (images_reg <= IMAGE_W'(AHEAD));
            gives_in_time: assert (silent_reg <= WAIT_W'(PATIENCE));
            takes_in_time: assert (closed_reg <= WAIT_W'(PATIENCE));
            keeps_valid: assert (!waiting_reg || m_tvalid);
            keeps_data: assert (!waiting_reg || m_tdata == last_data_reg);
        end
    end

endmodule

`default_nettype wire
