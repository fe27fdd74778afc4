// The design's output: marks the last beat of an image, and the images that hwflow_guard found damaged.
//
//   WIDTH     bits of a beat
//   BEATS     beats of an image
//   FLAGS     damaged images that are remembered at once, a power of two from 8
//   COUNT_W   bits that number the images inside
//
// ended_i, damaged_i   an image is whole at the guard; it was damaged. Images come out in the order of these.
// m_tuser   the image is damaged. The last beat knows, because it waits until its image has ended at the guard; an
//           earlier beat may leave before the damage is seen.
// full_o    no further image may begin: hwflow_guard's enable_i. Images that end within three cycles more find room.
// inside_o  images have ended at the guard that have not come out yet
//
// Timing: 3 cycles from input to output, a beat a cycle. s_tready is a register.

`default_nettype none

module hwflow_results #(
    parameter int WIDTH   = 16,
    parameter int BEATS   = 4,
    parameter int FLAGS   = 8,
    parameter int COUNT_W = 12
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire              ended_i,
    input  wire              damaged_i,
    output logic             full_o,
    output logic             inside_o,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tlast,
    output logic             m_tuser,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int FLAG_W = $clog2(FLAGS);
    localparam logic [BEAT_W-1:0] LAST = BEAT_W'(BEATS - 1);

    if (WIDTH < 1 || BEATS < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_results: WIDTH (%0d) and BEATS (%0d) must be positive", WIDTH, BEATS);
    end
    if (FLAGS < 8 || FLAGS != 1 << FLAG_W || COUNT_W < 4) begin : gen_error_flags
        initial $fatal(1, "hwflow_results: FLAGS (%0d) must be a power of two from 8, COUNT_W (%0d) 4 or more",
                       FLAGS, COUNT_W);
    end

    wire [WIDTH-1:0] data;
    wire valid, ready;

    hwflow_fifo #(
        .WIDTH (WIDTH),
        .DEPTH (2)
    ) entry (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .s_tdata  (s_tdata),
        .s_tvalid (s_tvalid),
        .s_tready (s_tready),
        .m_tdata  (data),
        .m_tvalid (valid),
        .m_tready (ready)
    );

    logic [BEAT_W-1:0] beat_reg;
    logic [COUNT_W-1:0] in_reg, out_reg, inside_reg;  // number of the image that ends or comes out next; images between
    logic [COUNT_W-1:0] damaged [0:FLAGS-1];          // numbers of the damaged ones among them
    logic [FLAG_W-1:0] write_reg, read_reg;
    logic [FLAG_W:0] flags_reg;

    wire last_beat = beat_reg == LAST;
    wire take = valid && ready;
    wire done = take && last_beat;
    wire flag = flags_reg != '0 && damaged[read_reg] == out_reg;

    assign ready    = (!m_tvalid || m_tready) && (!last_beat || inside_o);
    assign inside_o = inside_reg != '0;

    always_ff @(posedge clk_i) begin
        if (ended_i && damaged_i) damaged[write_reg] <= in_reg;
        if (take) begin
            m_tdata <= data;
            m_tlast <= last_beat;
            m_tuser <= flag;
        end
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg   <= '0;
            in_reg     <= '0;
            out_reg    <= '0;
            inside_reg <= '0;
            write_reg  <= '0;
            read_reg   <= '0;
            flags_reg  <= '0;
            full_o     <= 1'b0;
            m_tvalid   <= 1'b0;
        end else begin
            if (take) beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
            if (ended_i) in_reg <= in_reg + 1'b1;
            if (done) out_reg <= out_reg + 1'b1;
            if (ended_i && !done) inside_reg <= inside_reg + 1'b1;
            if (done && !ended_i) inside_reg <= inside_reg - 1'b1;
            if (ended_i && damaged_i) write_reg <= write_reg + 1'b1;
            if (done && flag) read_reg <= read_reg + 1'b1;
            if ((ended_i && damaged_i) && !(done && flag)) flags_reg <= flags_reg + 1'b1;
            if ((done && flag) && !(ended_i && damaged_i)) flags_reg <= flags_reg - 1'b1;
            full_o <= flags_reg[FLAG_W] || flags_reg[FLAG_W-1] || inside_reg[COUNT_W-1];
            if (!m_tvalid || m_tready) m_tvalid <= take;
        end
    end

endmodule

`default_nettype wire
